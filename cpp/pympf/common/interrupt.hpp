// Long work asks now and then whether it should end: between levels, stages and batches, and
// between the chunks of parallel loops.
#pragma once

#include <atomic>

namespace pympf {

namespace interrupt {
inline std::atomic<void (*)()> hook{nullptr};
}

// The hook is called by whatever thread works, often, and throws when the work should end.
inline void set_interrupt_hook(void (*hook)()) { interrupt::hook = hook; }

// Throws what the hook throws. Objects that are being made are given up; others stay as they are.
inline void checkpoint() {
  if (const auto hook = interrupt::hook.load(std::memory_order_relaxed)) hook();
}

}  // namespace pympf
