// K numbers side by side, of K columns of a panel (block.hpp), as vector registers hold them. Each
// lane is what a single number would be, to the last bit: products and sums are rounded one by one.
#pragma once

#include <cstring>

namespace pympf {

template <class T, int K>
struct Lanes {
  Lanes<T, K / 2> low, high;

  static Lanes zero() { return {Lanes<T, K / 2>::zero(), Lanes<T, K / 2>::zero()}; }
  static Lanes load(const T* x) {
    return {Lanes<T, K / 2>::load(x), Lanes<T, K / 2>::load(x + K / 2)};
  }
  void store(T* x) const {
    low.store(x);
    high.store(x + K / 2);
  }
  // this + a x, this - a x
  void add(T a, const Lanes& x) {
    low.add(a, x.low);
    high.add(a, x.high);
  }
  void subtract(T a, const Lanes& x) {
    low.subtract(a, x.low);
    high.subtract(a, x.high);
  }
  void scale(T a) {
    low.scale(a);
    high.scale(a);
  }
  friend Lanes operator+(const Lanes& x, const Lanes& y) {
    return {x.low + y.low, x.high + y.high};
  }
  friend Lanes operator-(const Lanes& x, const Lanes& y) {
    return {x.low - y.low, x.high - y.high};
  }
};

// What one register of every processor holds.
template <class T, int K>
requires(K * sizeof(T) <= 16) struct Lanes<T, K> {
  typedef T Vector __attribute__((vector_size(K * sizeof(T))));
  Vector v;

  static Lanes zero() { return {Vector{}}; }
  static Lanes load(const T* x) {
    Lanes out;
    std::memcpy(&out.v, x, sizeof(Vector));
    return out;
  }
  void store(T* x) const { std::memcpy(x, &v, sizeof(Vector)); }
  void add(T a, const Lanes& x) { v += a * x.v; }
  void subtract(T a, const Lanes& x) { v -= a * x.v; }
  void scale(T a) { v *= a; }
  friend Lanes operator+(const Lanes& x, const Lanes& y) { return {x.v + y.v}; }
  friend Lanes operator-(const Lanes& x, const Lanes& y) { return {x.v - y.v}; }
};

template <class T>
struct Lanes<T, 1> {
  T v;

  static Lanes zero() { return {T(0)}; }
  static Lanes load(const T* x) { return {*x}; }
  void store(T* x) const { *x = v; }
  void add(T a, const Lanes& x) { v += a * x.v; }
  void subtract(T a, const Lanes& x) { v -= a * x.v; }
  void scale(T a) { v *= a; }
  friend Lanes operator+(const Lanes& x, const Lanes& y) { return {x.v + y.v}; }
  friend Lanes operator-(const Lanes& x, const Lanes& y) { return {x.v - y.v}; }
};

}  // namespace pympf
