#include <doctest/doctest.h>

#include <limits>
#include <vector>

#include "pympf/common/random.hpp"
#include "pympf/la/blas1.hpp"

using namespace pympf;

namespace {

template <class T>
std::vector<T> random_vector(Index n, unsigned stream) {
  Random random(7, stream, 0);
  std::vector<T> x(n);
  for (T& value : x) value = static_cast<T>(random.next() / 4294967296.0 - 0.5);
  return x;
}

struct Threads {
  explicit Threads(int count) : before_(thread_count()) { set_thread_count(count); }
  ~Threads() { set_thread_count(before_); }
  int before_;
};

}  // namespace

TEST_CASE("chunks cover a vector once, and there are at most kMaxChunks") {
  for (std::size_t n : {0ul, 1ul, kChunk - 1, kChunk, kChunk + 1, kSerial, kSerial + 1, 3 * kSerial,
                        kChunk * kMaxChunks, kChunk * kMaxChunks + 1, 2147483647ul}) {
    const std::size_t length = chunk_length(n);
    CHECK((n + length - 1) / length <= kMaxChunks);
    if (n > 3 * kSerial) continue;
    std::vector<int> visits(n);
    for_chunks(n, [&](std::size_t c, std::size_t begin, std::size_t end) {
      if (begin != c * length || begin >= end) return;
      for (std::size_t i = begin; i < end; ++i) ++visits[i];
    });
    CHECK(std::count(visits.begin(), visits.end(), 1) == static_cast<std::ptrdiff_t>(n));
  }
}

TEST_CASE_TEMPLATE("dot adds every product once", T, float, double) {
  for (Index n : {0, 1, 7, 8, 9, 4095, 4096, 4097, 40000}) {
    std::vector<T> x(n), y(n);
    double expected = 0;
    for (Index i = 0; i < n; ++i) {
      x[i] = static_cast<T>(i % 17 - 8);
      y[i] = static_cast<T>(i % 5 + 1);
      expected += static_cast<double>(x[i]) * y[i];
    }
    CHECK(dot(n, x.data(), y.data()) == expected);
  }
}

TEST_CASE("a float dot product is summed in double") {
  const std::vector<float> x{1e8f, 1, -1e8f}, y{1, 1, 1};
  CHECK(dot(3, x.data(), y.data()) == 1);
  const std::vector<float> many(20000000, 1.0f);  // a float sum stops at 2^24
  CHECK(dot(20000000, many.data(), many.data()) == 20000000);
}

TEST_CASE_TEMPLATE("sums have the same bits on any number of threads", T, float, double) {
  const Index n = 200001;
  const auto x = random_vector<T>(n, 1), y = random_vector<T>(n, 2);
  std::vector<double> sums;
  for (int threads : {1, 2, 3}) {
    const Threads set(threads);
    sums.push_back(dot(n, x.data(), y.data()));
  }
  CHECK(sums[0] == sums[1]);
  CHECK(sums[0] == sums[2]);
}

TEST_CASE("norm neither overflows nor vanishes") {
  CHECK(norm(2, std::vector<double>{3, -4}.data()) == 5);
  CHECK(norm(2, std::vector<double>{3e200, 4e200}.data()) == doctest::Approx(5e200));
  CHECK(norm(2, std::vector<double>{3e-200, 4e-200}.data()) == doctest::Approx(5e-200));
  CHECK(norm(2, std::vector<double>{5e-324, 0}.data()) == 5e-324);
  CHECK(norm(2, std::vector<double>{0, 0}.data()) == 0);
  CHECK(norm(2, std::vector<float>{3e30f, 4e30f}.data()) == doctest::Approx(5e30));
}

TEST_CASE("norm of a vector that is not finite is not finite") {
  const double inf = std::numeric_limits<double>::infinity();
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK_FALSE(std::isfinite(norm(3, std::vector<double>{1, inf, 2}.data())));
  CHECK_FALSE(std::isfinite(norm(3, std::vector<double>{1, nan, 2}.data())));
  CHECK_FALSE(std::isfinite(norm(3, std::vector<double>{-inf, nan, 1e200}.data())));
  CHECK_FALSE(std::isfinite(norm(3, std::vector<double>{1e200, 1e200, nan}.data())));
}

TEST_CASE_TEMPLATE("vector updates follow their formulas, short and long", T, float, double) {
  for (Index n : {5, 100003}) {
    const auto x = random_vector<T>(n, 3), y = random_vector<T>(n, 4);
    auto plus = y, both = y, scaled = y, copied = y;
    axpy(n, 0.5, x.data(), plus.data());
    axpby(n, 0.5, x.data(), -2.0, both.data());
    scale(n, -0.25, x.data(), scaled.data());
    copy(n, x.data(), copied.data());
    Index wrong = 0;
    for (Index i = 0; i < n; ++i) {  // powers of two: only the additions round
      wrong += plus[i] != y[i] + T(0.5) * x[i];
      wrong += both[i] != T(0.5) * x[i] - 2 * y[i];
      wrong += scaled[i] != T(-0.25) * x[i];
    }
    CHECK(wrong == 0);
    CHECK(copied == x);
  }
}

TEST_CASE("the largest magnitude, wherever it is") {
  CHECK(largest_magnitude<double>(0, nullptr) == 0);
  for (std::size_t n : {1, 7, 8, 9, 100})
    for (std::size_t place : {std::size_t{0}, n / 2, n - 1}) {
      std::vector<float> x(n, 0.5F);
      x[place] = -3;
      CHECK(largest_magnitude(n, x.data()) == 3);
    }
}
