// Vector operations, the same to the last bit on any number of threads: a vector is cut into chunks
// that depend on its length only, the chunks are worked on in parallel, and the partial sums of a
// dot product are added in their order. Sums run in double for float vectors too. Short vectors
// wake no thread.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>

#include "pympf/la/csr.hpp"
#include "pympf/mpi/comm.hpp"

namespace pympf {

inline constexpr std::size_t kChunk = 4096;      // entries, while there are at most kMaxChunks
inline constexpr std::size_t kMaxChunks = 1024;  // partial sums of a dot product, kept on the stack

inline std::size_t chunk_length(std::size_t n) {
  return kChunk * std::max<std::size_t>(1, (n + kChunk * kMaxChunks - 1) / (kChunk * kMaxChunks));
}

// body(chunk, begin, end) for the chunks of [0, n).
template <class Body>
void for_chunks(std::size_t n, const Body& body) {
  const std::size_t length = chunk_length(n), chunks = (n + length - 1) / length;
  const auto run = [&](std::size_t c) { body(c, c * length, std::min(n, (c + 1) * length)); };
  if (worth_threads(n))
    parallel_for(chunks, true, run);
  else
    for (std::size_t c = 0; c < chunks; ++c) run(c);
}

// Eight running sums: vector instructions without leave to reorder the additions.
template <class T>
double dot_chunk(const T* x, const T* y, std::size_t n) {
  constexpr std::size_t lanes = 8;
  std::array<double, lanes> sum{};
  std::size_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    for (std::size_t k = 0; k < lanes; ++k) {
      sum[k] += static_cast<double>(x[i + k]) * static_cast<double>(y[i + k]);
    }
  }
  for (std::size_t k = 0; i < n; ++i, ++k) {
    sum[k] += static_cast<double>(x[i]) * static_cast<double>(y[i]);
  }
  return ((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7]));
}

// Sums over the chunks of [0, n), added in their order: body(begin, end, sums) gives the part of a
// chunk. Several operations on one chunk in turn take its numbers from memory once, and their sums
// have the bits of loops of their own.
template <std::size_t count, class Body>
std::array<double, count> sum_chunks(std::size_t n, const Body& body) {
  std::array<std::array<double, count>, kMaxChunks> partial;
  for_chunks(
      n, [&](std::size_t c, std::size_t begin, std::size_t end) { partial[c] = body(begin, end); });
  std::array<double, count> sum{};
  for (std::size_t c = 0; c * chunk_length(n) < n; ++c)
    for (std::size_t k = 0; k < count; ++k) sum[k] += partial[c][k];
  return sum;
}

template <class T>
double dot(Index n, const T* x, const T* y) {
  return sum_chunks<1>(static_cast<std::size_t>(n), [=](std::size_t begin, std::size_t end) {
    return std::array{dot_chunk(x + begin, y + begin, end - begin)};
  })[0];
}

// Without NaN. Eight running maxima, for vector instructions.
template <class T>
double largest_magnitude(std::size_t n, const T* x) {
  constexpr std::size_t lanes = 8;
  std::array<T, lanes> most{};
  std::size_t i = 0;
  for (; i + lanes <= n; i += lanes)
    for (std::size_t k = 0; k < lanes; ++k) most[k] = std::max(most[k], std::abs(x[i + k]));
  for (std::size_t k = 0; i < n; ++i, ++k) most[k] = std::max(most[k], std::abs(x[i]));
  return static_cast<double>(*std::max_element(most.begin(), most.end()));
}

// The norm of a vector whose squares overflow or vanish: max |x_i| * || x / max |x_i| ||.
template <class T>
double scaled_norm(const Communicator& comm, Index n, const T* x) {
  double largest = 0, broken = 0;
  for (Index i = 0; i < n; ++i) {
    if (!std::isfinite(x[i])) broken += std::abs(static_cast<double>(x[i]));
    largest = std::max(largest, std::abs(static_cast<double>(x[i])));
  }
  broken = comm.sum(broken);
  if (broken != 0) return broken;
  largest = comm.max(largest);
  if (largest == 0) return 0;
  double sum = 0;
  for (Index i = 0; i < n; ++i) sum += (x[i] / largest) * (x[i] / largest);
  return largest * std::sqrt(comm.sum(sum));
}

// ||x||_2 of a vector over the ranks; zero only for x = 0, not finite only when x or its norm is
// not. `square` is dot(n, x, x), where it is known already.
template <class T>
double norm(const Communicator& comm, Index n, const T* x, double square) {
  constexpr double tiny = 1e-280, huge = 1e300;  // outside, squares have lost digits
  square = comm.sum(square);
  return square > tiny && square < huge ? std::sqrt(square) : scaled_norm(comm, n, x);
}
template <class T>
double norm(const Communicator& comm, Index n, const T* x) {
  return norm(comm, n, x, dot(n, x, x));
}

template <class T>
double norm(Index n, const T* x) {
  return norm(Communicator::self(), n, x);
}

template <class T>
void copy(Index n, const T* x, T* y) {
  for_chunks(static_cast<std::size_t>(n), [&](std::size_t, std::size_t begin, std::size_t end) {
    std::copy(x + begin, x + end, y + begin);
  });
}

// y = a x
template <class T>
void scale(Index n, double a, const T* x, T* y) {
  const T factor = static_cast<T>(a);
  for_chunks(static_cast<std::size_t>(n), [&](std::size_t, std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) y[i] = factor * x[i];
  });
}

// y = a x + b y
template <class T>
void axpby(Index n, double a, const T* x, double b, T* y) {
  const T first = static_cast<T>(a), second = static_cast<T>(b);
  for_chunks(static_cast<std::size_t>(n), [&](std::size_t, std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) y[i] = first * x[i] + second * y[i];
  });
}

template <class T>
void axpy_chunk(T a, const T* x, T* y, std::size_t begin, std::size_t end) {
  for (std::size_t i = begin; i < end; ++i) y[i] += a * x[i];
}

// y = y + a x
template <class T>
void axpy(Index n, double a, const T* x, T* y) {
  const T factor = static_cast<T>(a);
  for_chunks(static_cast<std::size_t>(n), [=](std::size_t, std::size_t begin, std::size_t end) {
    axpy_chunk(factor, x, y, begin, end);
  });
}

// y = y + a x; returns y^T z. z may be y.
template <class T>
double axpy_dot(Index n, double a, const T* x, T* y, const T* z) {
  const T factor = static_cast<T>(a);
  return sum_chunks<1>(static_cast<std::size_t>(n), [=](std::size_t begin, std::size_t end) {
    axpy_chunk(factor, x, y, begin, end);
    return std::array{dot_chunk(z + begin, y + begin, end - begin)};
  })[0];
}

}  // namespace pympf
