// The one operator concept of the package: a linear map y = Op x. Matrices, factorizations and
// preconditioners are handed to the Krylov methods as this.
#pragma once

#include <concepts>
#include <functional>
#include <type_traits>
#include <utility>

#include "pympf/la/block.hpp"
#include "pympf/la/csr.hpp"
#include "pympf/mpi/layout.hpp"

namespace pympf {

// What a map does to one vector; whoever has more to offer adds it. On several ranks every vector
// is the part of this rank, and all calls are collective.
template <class T>
struct Operator {
  using Vector = std::function<void(const T* x, T* y)>;
  using Columns = std::function<void(const Block<const T>& X, const Block<T>& Y)>;

  Layout domain, range;  // of x and y; empty ones where the maker did not say
  Vector apply, apply_transpose;
  Columns apply_block, apply_transpose_block;         // all columns at once, or nothing
  std::function<double(const T* x, T* y)> apply_dot;  // y = Op x; what this rank has of x^T y

  Operator() = default;
  template <class F>
  requires std::invocable<F&, const T*, T*> &&
      (!std::same_as<std::decay_t<F>, Operator>)Operator(F&& f)
      : apply(std::forward<F>(f)) {}

  Index rows() const { return range.own(); }
  Index cols() const { return domain.own(); }
  explicit operator bool() const { return static_cast<bool>(apply); }

  // y = Op x
  void operator()(const T* x, T* y) const { apply(x, y); }
  // Y = Op X, every column with the bits that it has alone.
  void operator()(const Block<const T>& X, const Block<T>& Y) const {
    by_columns(apply_block, apply, X, Y);
  }
  // y = Op^T x
  void transpose(const T* x, T* y) const {
    require(static_cast<bool>(apply_transpose), "this operator has no transpose");
    apply_transpose(x, y);
  }
  void transpose(const Block<const T>& X, const Block<T>& Y) const {
    require(static_cast<bool>(apply_transpose), "this operator has no transpose");
    by_columns(apply_transpose_block, apply_transpose, X, Y);
  }

 private:
  static void by_columns(const Columns& at_once, const Vector& one, const Block<const T>& X,
                         const Block<T>& Y) {
    if (at_once && X.count() > 1) return at_once(X, Y);
    for_columns(X, Y, one);
  }
};

}  // namespace pympf
