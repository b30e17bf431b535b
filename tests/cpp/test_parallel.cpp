// Parallel loops: every index once, errors, many callers, forks, interruptions, too little memory.
#include <doctest/doctest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <thread>
#include <vector>

#include "pympf/common/cores.hpp"
#include "pympf/common/error.hpp"
#include "pympf/common/parallel.hpp"
#include "pympf/common/sort.hpp"

using namespace pympf;

namespace {

// Sanitizers need memory of their own, and that of threads makes none after a fork.
#ifdef __SANITIZE_ADDRESS__
constexpr bool address_sanitizer = true;
#else
constexpr bool address_sanitizer = false;
#endif
#ifdef __SANITIZE_THREAD__
constexpr bool thread_sanitizer = true;
#else
constexpr bool thread_sanitizer = false;
#endif

class Threads {
 public:
  explicit Threads(int count) : before_(thread_count()) { set_thread_count(count); }
  ~Threads() { set_thread_count(before_); }

 private:
  int before_;
};

bool every_index_once(int n, int chunk) {
  std::vector<int> done(n);
  parallel_for(n, chunk, true, [&](int i) { ++done[i]; });
  return std::count(done.begin(), done.end(), 1) == n;
}

int exit_code_of_child(int (*work)()) {
  const pid_t child = fork();
  if (child == 0) _exit(work());
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace

TEST_CASE("a parallel loop visits every index once") {
  for (int threads : {1, 2, 3, 8, 300}) {
    const Threads with(threads);
    for (int n : {0, 1, 2, 3, 7, 100, 1000})
      for (int chunk : {0, 1, 7, 1000, 2000}) CHECK(every_index_once(n, chunk));
  }
}

TEST_CASE("a sort in pieces is a sort") {
  const int before = thread_count();
  for (const std::size_t size : {0, 1, 1000, 40'000, 150'001}) {
    std::vector<std::pair<int, std::size_t>> values;
    for (std::size_t k = 0; k < size; ++k) values.emplace_back(k * 7919 % 1009, k);
    auto expected = values;
    const auto less = [](const auto& a, const auto& b) {
      return a.first != b.first ? a.first > b.first : a.second < b.second;
    };
    std::sort(expected.begin(), expected.end(), less);
    for (const int threads : {1, 2, 3, 8}) {
      set_thread_count(threads);
      auto sorted = values;
      sort_pieces(sorted, less);
      CHECK(sorted == expected);
    }
  }
  set_thread_count(before);
}

TEST_CASE("short loops, one after the other") {
  const Threads with(4);
  std::vector<std::int64_t> sums(64);
  for (int repeat = 0; repeat < 5000; ++repeat)
    parallel_for(64, 1, true, [&](int i) { sums[i] += i; });
  for (int i = 0; i < 64; ++i) CHECK(sums[i] == 5000 * i);
}

TEST_CASE("each thread that takes part has a body of its own") {
  const Threads with(4);
  std::atomic<int> sum{0}, made{0};
  parallel_with(1000, 7, true, [&] {
    ++made;
    return [&, own = std::vector<int>(1000)](int i) mutable { sum += ++own[i]; };
  });
  CHECK(sum == 1000);
  CHECK(made >= 1);
  CHECK(made <= 4);
}

TEST_CASE("the first error of a parallel loop is thrown behind it") {
  for (int threads : {1, 2, 5}) {
    const Threads with(threads);
    for (int repeat = 0; repeat < 20; ++repeat) {
      const auto fail = [](std::size_t i) { require(i % 100 != 57, "index ", i); };
      CHECK_THROWS_WITH_AS(parallel_for(std::size_t{1000}, std::size_t{7}, true, fail), "index 57",
                           InvalidArgument);
      CHECK_THROWS_WITH_AS(parallel_for(std::size_t{1000}, true, fail), "index 57",
                           InvalidArgument);
    }
    const auto no_memory = [] {
      throw std::bad_alloc();
      return [](int) {};
    };
    CHECK_THROWS_AS(parallel_with(10, 1, true, no_memory), std::bad_alloc);
    CHECK(every_index_once(1000, 7));  // the team is as before
  }
}

TEST_CASE("loops in loops run on the thread that meets them") {
  const Threads with(4);
  std::vector<std::atomic<int>> done(50 * 50);
  parallel_for(50, 1, true, [&](int i) {
    const auto own = std::this_thread::get_id();
    parallel_for(50, 1, true, [&](int j) {
      if (std::this_thread::get_id() == own) ++done[50 * i + j];
    });
  });
  CHECK(std::all_of(done.begin(), done.end(), [](const auto& count) { return count == 1; }));
}

TEST_CASE("many threads may have loops at once, each with its number of threads") {
  const int before = thread_count();
  std::atomic<int> right{0};
  std::vector<std::thread> callers;
  for (int c = 0; c < 8; ++c)
    callers.emplace_back([&, c] {
      set_thread_count(c + 1);
      bool good = thread_count() == c + 1;
      for (int repeat = 0; repeat < 200; ++repeat) good = good && every_index_once(100, 1);
      right += good;
    });
  for (auto& caller : callers) caller.join();
  CHECK(right == 8);
  CHECK(thread_count() == before);
}

TEST_CASE("a child after fork has a team of its own, also where other threads have loops" *
          doctest::skip(thread_sanitizer)) {
  const Threads with(3);
  REQUIRE(every_index_once(1000, 7));
  std::atomic<bool> end{false};
  std::thread busy([&] {
    set_thread_count(3);
    while (!end) every_index_once(1000, 7);
  });
  for (int repeat = 0; repeat < 5; ++repeat) {
    const int code = exit_code_of_child([] {
      alarm(20);  // ends a child that hangs
      bool good = thread_count() == 3 && every_index_once(1000, 7);
      return good && exit_code_of_child([] { return every_index_once(1000, 7) ? 0 : 1; }) == 0 ? 0
                                                                                               : 1;
    });
    CHECK(code == 0);
    CHECK(every_index_once(1000, 7));
  }
  end = true;
  busy.join();
}

TEST_CASE("where no thread can be made, the caller does the work" *
          doctest::skip(thread_sanitizer || address_sanitizer)) {
  const int code = exit_code_of_child([] {
    const rlimit least{std::size_t{1} << 20, std::size_t{1} << 20};  // no room for a stack
    setrlimit(RLIMIT_AS, &least);
    set_thread_count(4);
    std::array<int, 100> done{};
    parallel_for(100, 1, true, [&](int i) { ++done[i]; });
    return std::accumulate(done.begin(), done.end(), 0) == 100 ? 0 : 1;
  });
  CHECK(code == 0);
}

TEST_CASE("a loop ends when it is interrupted, and the next one is whole") {
  static std::atomic<int> asked{0};
  for (int threads : {1, 2}) {
    const Threads with(threads);
    asked = 0;
    set_interrupt_hook([] {
      if (++asked == 3) throw IoError("interrupted");
    });
    std::atomic<int> done{0};
    const auto slow = [&](int) {
      ++done;
      std::this_thread::sleep_for(std::chrono::microseconds(50));
    };
    CHECK_THROWS_WITH_AS(parallel_for(1000, 1, true, slow), "interrupted", IoError);
    CHECK(done < 1000);
    CHECK(every_index_once(1000, 1));
    set_interrupt_hook(nullptr);
  }
}

TEST_CASE("cores granted by control groups") {
  namespace fs = std::filesystem;
  const fs::path root = fs::temp_directory_path() / ("pympf-groups-" + std::to_string(getpid()));
  const auto write = [&](const std::string& file, const std::string& text) {
    fs::create_directories((root / file).parent_path());
    std::ofstream(root / file) << text;
  };
  const auto quota = [&](const std::string& groups) { return quota_of(groups, root.string()); };
  CHECK(quota("0::/\n") == 0);  // there is no file
  write("cpu.max", "max 100000\n");
  CHECK(quota("0::/\n") == 0);
  write("jobs/one/cpu.max", "150000 100000\n");
  CHECK(quota("0::/jobs/one\n") == 1.5);
  CHECK(quota("0::/jobs/one/step\n") == 1.5);  // of a group above
  write("jobs/cpu.max", "100000 100000\n");
  CHECK(quota("0::/jobs/one\n") == 1.0);  // the least of them
  write("cpu.max", "50000 100000\n");
  CHECK(quota("0::/elsewhere/on/the/host\n") == 0.5);
  write("cpu/box/cpu.cfs_quota_us", "400000\n");
  write("cpu/box/cpu.cfs_period_us", "100000\n");
  CHECK(quota("5:memory:/box\n4:cpu,cpuacct:/box\n") == 4);
  write("cpu/box/cpu.cfs_quota_us", "-1\n");
  CHECK(quota("4:cpu,cpuacct:/box\n") == 0);
  for (const char* text : {"", "\n", "nonsense", "::", "0::", "0::no/slash\n", "1:cpu:\n"})
    CHECK(quota(text) >= 0);
  fs::remove_all(root);
  CHECK(granted_cores() >= 1);
  CHECK(default_thread_count() >= 1);
}
