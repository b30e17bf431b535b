// What the compiled modules share in a process: one team of threads, Python's signals, and the
// progress that Python shows.
#pragma once

#include <Python.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

#include "pympf/common/interrupt.hpp"
#include "pympf/common/parallel.hpp"
#include "pympf/common/progress.hpp"

namespace pympf::python {

// A Python exception is set; it travels through C++ as this.
struct Raised {};

// Kind and text of the exception that is set, which stays set.
inline std::string raised_text() {
  const PyGILState_STATE lock = PyGILState_Ensure();
  PyObject *kind = nullptr, *value = nullptr, *trace = nullptr;
  PyErr_Fetch(&kind, &value, &trace);
  PyErr_NormalizeException(&kind, &value, &trace);
  std::string text = kind ? reinterpret_cast<PyTypeObject*>(kind)->tp_name : "an error";
  PyObject* const words = value ? PyObject_Str(value) : nullptr;
  PyObject* const bytes =
      words ? PyUnicode_AsEncodedString(words, "utf-8", "backslashreplace") : nullptr;
  if (bytes && PyBytes_GET_SIZE(bytes) > 0) text += std::string(": ") + PyBytes_AS_STRING(bytes);
  Py_XDECREF(bytes);
  Py_XDECREF(words);
  PyErr_Restore(kind, value, trace);
  PyGILState_Release(lock);
  return text;
}

// What a signal handler raised while the progress was told, for the next look: it must not be lost.
// Guarded by the interpreter's lock.
struct Kept {
  PyObject *kind = nullptr, *value = nullptr, *trace = nullptr;

  void keep() {
    if (kind)
      PyErr_Clear();
    else
      PyErr_Fetch(&kind, &value, &trace);
  }
  // True with the exception set again, where there is one.
  bool raise() {
    if (!kind) return false;
    PyErr_Restore(std::exchange(kind, nullptr), std::exchange(value, nullptr),
                  std::exchange(trace, nullptr));
    return true;
  }
};
inline Kept kept;

// Ctrl-C ends long work: signal handlers of Python run in the main thread, every 50 ms, or less
// often where the interpreter's lock is hard to get.
inline void look_for_signals() {
  using Clock = std::chrono::steady_clock;
  thread_local Clock::time_point next{};
  const auto start = Clock::now();
  if (start < next) return;
  bool raised = false;
  if (getpid() == gettid()) {
    const PyGILState_STATE lock = PyGILState_Ensure();
    raised = !PyErr_Occurred() && (kept.raise() || PyErr_CheckSignals() < 0);
    PyGILState_Release(lock);
  }
  const auto end = Clock::now();
  next = end + std::max<Clock::duration>(std::chrono::milliseconds(50), 20 * (end - start));
  if (raised) throw Raised();
}

// Tells `pympf._progress.tell` how far the work of this thread is. What is shown never ends it, but
// a signal whose handler runs meanwhile, in the main thread, does: at the next look, or back in
// Python.
inline void tell_progress(const char* unit, long number, double share) {
  const PyGILState_STATE lock = PyGILState_Ensure();
  if (!PyErr_Occurred()) {
    PyObject* const module = PyImport_ImportModule("pympf._progress");
    PyObject* const done =
        module ? PyObject_CallMethod(module, "tell", "sld", unit, number, share) : nullptr;
    if (!done && getpid() == gettid()) {
      kept.keep();
      Py_AddPendingCall([](void*) { return kept.raise() ? -1 : 0; }, nullptr);
    } else if (!done) {
      PyErr_WriteUnraisable(module);
    }
    Py_XDECREF(done);
    Py_XDECREF(module);
  }
  PyGILState_Release(lock);
}

inline void set_hooks() {
  set_interrupt_hook(look_for_signals);
  set_progress_hook(tell_progress);
}

// For the module that has the team: what the others join.
inline PyObject* offer_team() {
  set_hooks();
  return PyCapsule_New(&team(), nullptr, nullptr);
}

// For the others. -1 with an exception set when there is no team.
inline int join_team() {
  set_hooks();
  PyObject* const core = PyImport_ImportModule("pympf._core");
  PyObject* const capsule = core ? PyObject_GetAttrString(core, "team") : nullptr;
  auto* const offered = capsule ? PyCapsule_GetPointer(capsule, nullptr) : nullptr;
  if (offered) share_team(*static_cast<Team*>(offered));
  Py_XDECREF(capsule);
  Py_XDECREF(core);
  return offered ? 0 : -1;
}

}  // namespace pympf::python
