// Computations that wait in the middle. A Krylov method is written for one right-hand side; where
// it needs a product with A or M it says so and waits,
//
//   co_await run.A(p, q);
//
// and whoever runs it computes the product: at once for one right-hand side, together with those of
// the others for several, so that A and M are read once for all (krylov_run.hpp, `run_together`).
// All runs on the thread of the caller; nothing is done in the background.
#pragma once

#include <coroutine>
#include <exception>
#include <optional>
#include <utility>
#include <vector>

namespace pympf {

// The coroutines of one computation that are under way, each awaited by the one before it.
struct TaskStack {
  std::vector<std::coroutine_handle<>> handles;
  std::exception_ptr error;  // what the first of them threw
};

template <class R>
class Task {
 public:
  struct promise_type {
    TaskStack* stack = nullptr;
    std::optional<R> value;
    std::exception_ptr error;

    Task get_return_object() { return Task(Handle::from_promise(*this)); }
    std::suspend_always initial_suspend() noexcept { return {}; }
    struct Leave {
      bool await_ready() noexcept { return false; }
      void await_suspend(std::coroutine_handle<promise_type> done) noexcept {
        TaskStack& stack = *done.promise().stack;
        stack.handles.pop_back();
        if (stack.handles.empty()) stack.error = done.promise().error;
      }
      void await_resume() noexcept {}
    };
    Leave final_suspend() noexcept { return {}; }
    void return_value(R result) { value.emplace(std::move(result)); }
    void unhandled_exception() { error = std::current_exception(); }
  };
  using Handle = std::coroutine_handle<promise_type>;

  Task() = default;
  explicit Task(Handle handle) : handle_(handle) {}
  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, {})) {}
  Task& operator=(Task&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~Task() {
    if (handle_) handle_.destroy();
  }

  // Puts it on the stack that will run it.
  void start(TaskStack& stack) {
    handle_.promise().stack = &stack;
    stack.handles.push_back(handle_);
  }
  // What it returned, or throws what it threw.
  R result() {
    if (handle_.promise().error) std::rethrow_exception(handle_.promise().error);
    return *std::move(handle_.promise().value);
  }

  // In another task: runs this one, and goes on with what it returns.
  bool await_ready() const noexcept { return false; }
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> caller) {
    start(*caller.promise().stack);
  }
  R await_resume() { return result(); }

 private:
  Handle handle_;
};

}  // namespace pympf
