#include "pympf/common/parallel.hpp"

#include <pthread.h>
#include <signal.h>

#include <chrono>
#include <cstdint>
#include <new>

#include "pympf/common/cores.hpp"
#include "pympf/common/memory.hpp"

namespace pympf {
namespace {

void relax() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Waits until `word` is no longer `value`: awake for about as long as it takes to fall asleep and
// be woken, for the next loop is often near; then asleep.
std::uint32_t wait_while(const std::atomic<std::uint32_t>& word, std::uint32_t value) {
  using Clock = std::chrono::steady_clock;
  constexpr auto patience = std::chrono::microseconds(20);
  const auto start = Clock::now();
  do {
    for (int i = 0; i < 16; ++i) {
      const std::uint32_t now = word.load(std::memory_order_acquire);
      if (now != value) return now;
      relax();
    }
  } while (Clock::now() - start < patience);
  word.wait(value, std::memory_order_acquire);
  return word.load(std::memory_order_acquire);
}

// A thread of the team. What it does is the last two bits of `state_`; the others count its turns,
// so that no two turns look alike to who waits for the end of one.
class alignas(64) Helper {
 public:
  // Gives it something to do, unless it has. The ticket is for join().
  bool claim(Loop& loop, int thread, std::uint32_t& ticket) {
    ticket = state_.load(std::memory_order_relaxed);
    if (ticket % 4 != idle ||
        !state_.compare_exchange_strong(ticket, ticket + claimed, std::memory_order_acquire))
      return false;
    loop_ = &loop;
    thread_ = thread;
    state_.store(ticket + asked, std::memory_order_release);
    state_.notify_one();
    return true;
  }

  // Returns when it is not, and will not be, at work on this turn's loop.
  void join(std::uint32_t ticket) {
    std::uint32_t now = ticket + asked;
    if (state_.compare_exchange_strong(now, ticket + next_turn, std::memory_order_acquire)) return;
    while (now == ticket + working) now = wait_while(state_, now);
  }

  void serve() {
    for (std::uint32_t now = state_.load();;) {
      if (now % 4 != asked) {
        now = wait_while(state_, now);
      } else if (state_.compare_exchange_strong(now, now - asked + working,
                                                std::memory_order_acquire)) {
        loop_->take_part(thread_);
        now = now - asked + next_turn;
        state_.store(now, std::memory_order_release);
        state_.notify_all();
      }
    }
  }

 private:
  enum : std::uint32_t { idle, claimed, asked, working, next_turn };

  std::atomic<std::uint32_t> state_{idle};
  Loop* loop_ = nullptr;
  int thread_ = 0;
};

// Of the calling thread.
thread_local bool in_loop = false;
thread_local int wanted = 0;  // 0: never set

void* serve(void* helper) {
  in_loop = true;  // loops in loops run on one thread
  try {
    throw 0;  // what errors need of this thread's memory is made while there is some
  } catch (int) {
  }
  static_cast<Helper*>(helper)->serve();
  return nullptr;
}

// Signals go to the threads of the program.
bool start(Helper* helper) {
  constexpr std::size_t stack_bytes = std::size_t{2} << 20;
  sigset_t all, before;
  sigfillset(&all);
  pthread_attr_t attributes;
  if (pthread_attr_init(&attributes) != 0) return false;
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_attr_setstacksize(&attributes, stack_bytes);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t thread;
  const bool started = pthread_create(&thread, &attributes, serve, helper) == 0;
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  pthread_attr_destroy(&attributes);
  return started;
}

// Its helpers are never destroyed: they sleep when the process ends.
class OwnTeam final : public Team {
 public:
  int threads() const override {
    return in_loop ? 1 : std::min(thread_count(), Loop::kMostThreads);
  }
  int thread_count() const override { return wanted > 0 ? wanted : default_thread_count(); }
  void set_thread_count(int count) override { wanted = count; }

  void run(Loop& loop, int threads) override {
    struct Claim {
      Helper* helper;
      std::uint32_t ticket;
    };
    std::array<Claim, Loop::kMostThreads> claims;
    int claimed = 0;
    const int helpers = grow(threads - 1);
    for (int h = 0; h < helpers && claimed < threads - 1; ++h) {
      Claim& claim = claims[claimed];
      claim.helper = helpers_[h];
      if (claim.helper->claim(loop, claimed + 1, claim.ticket)) ++claimed;
    }
    in_loop = true;
    loop.take_part(0);
    in_loop = false;
    for (int c = 0; c < claimed; ++c) claims[c].helper->join(claims[c].ticket);
  }

  // The threads of the parent do not exist in a child.
  void forget() {
    count_ = 0;
    growing_.clear();
  }

 private:
  // How many helpers there are when so many are wanted: without memory for another, fewer.
  int grow(int wanted_helpers) {
    int count = count_.load(std::memory_order_acquire);
    if (count >= wanted_helpers || growing_.test_and_set(std::memory_order_acquire)) return count;
    for (count = count_; count < wanted_helpers; count_.store(++count, std::memory_order_release)) {
      auto* helper = new (std::nothrow) Helper;
      if (!helper) break;
      if (!start(helper)) {
        delete helper;
        break;
      }
      helpers_[count] = helper;
    }
    growing_.clear(std::memory_order_release);
    return count;
  }

  std::array<Helper*, Loop::kMostThreads> helpers_{};
  std::atomic<int> count_{0};
  std::atomic_flag growing_;
};

OwnTeam& own_team() {
  static OwnTeam& own = *[] {
    static OwnTeam made;
    keep_freed_memory();
    pthread_atfork(nullptr, nullptr, [] { made.forget(); });
    return &made;
  }();
  return own;
}

std::atomic<Team*> shared_team{nullptr};

}  // namespace

Loop::Loop(std::size_t chunks, int threads)
    : threads_(std::clamp(chunks < kMostThreads ? static_cast<int>(chunks) : kMostThreads, 1,
                          std::max(threads, 1))) {
  const auto shares = static_cast<std::size_t>(threads_);
  for (std::size_t t = 0; t < shares; ++t) {
    shares_[t].next = chunks / shares * t + std::min(t, chunks % shares);
    shares_[t].end = chunks / shares * (t + 1) + std::min(t + 1, chunks % shares);
  }
}

void Loop::run() {
  if (threads_ == 1) {
    std::size_t chunk = 0;
    return work(0, chunk);
  }
  team().run(*this, threads_);
  if (error_) std::rethrow_exception(error_);
}

void Loop::take_part(int thread) noexcept {
  std::size_t chunk;
  do {
    chunk = 0;
    try {
      return work(thread, chunk);
    } catch (...) {
      keep_error(chunk);
    }
  } while (chunk > 0);  // chunks before this one are still to be done
}

void Loop::keep_error(std::size_t chunk) {
  const std::lock_guard lock(mutex_);
  if (error_ && chunk >= first_error_) return;
  error_ = std::current_exception();
  first_error_ = chunk;
}

Team& team() {
  Team* const shared = shared_team.load(std::memory_order_acquire);
  return shared ? *shared : own_team();
}

void share_team(Team& other) { shared_team = &other; }

int thread_count() { return team().thread_count(); }
void set_thread_count(int count) { team().set_thread_count(count); }

}  // namespace pympf
