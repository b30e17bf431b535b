// The factorization as an operator: F = D Q^T H Q D (D = I unless prenormalized) and functions of
// it.
//
// f(F) = Q^T f(H) Q: a function keeps Q and changes H, and is again an Mmf. Q is shared, never
// copied. Everything is const; vectors come in blocks of m, row-major (n x m), and may be
// multiplied in place.
//
// On several ranks each brings its own rows of the vectors, and everything but what it holds (rows,
// core_size, levels, factors, bytes) is collective.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "pympf/mmf/factorize.hpp"

namespace pympf::mmf {

struct LogDeterminant {
  double sign, log;
};

template <class T>
class Mmf {
 public:
  explicit Mmf(Factorization<T> factors);

  const Communicator& comm() const { return factors_.Q->comm; }
  // Of this rank.
  Index rows() const { return factors_.Q->rows; }
  Index core_size() const { return factors_.H.core_size; }
  int levels() const { return factors_.Q->levels(); }
  const Factorization<T>& factors() const { return factors_; }
  std::size_t bytes() const;

  void multiply(const T* x, T* y, Index m) const;           // y = D Q^T H Q D x
  void transform(const T* x, T* y, Index m) const;          // y = Q x
  void inverse_transform(const T* y, T* x, Index m) const;  // x = Q^T y
  // x = Q_1^T ... Q_level^T y for y = [active after `level` stages | their wavelets].
  void inverse_transform(const T* y, T* x, Index m, int level) const;

  // F^{-1}. Without rcond a singular H throws Singular. With rcond >= 0 eigenvalues up to rcond *
  // largest count as zero and the result is the pseudo-inverse. `absolute` gives |H|^{-1}.
  Mmf inverse(double rcond = -1, bool absolute = false) const;

  // |H|^{-1}, with zero eigenvalues of H replaced by the largest one: symmetric positive definite
  // whatever A is.
  Mmf preconditioner() const;

  // H must have no negative eigenvalue; inv_sqrt needs all of them positive.
  Mmf sqrt() const;
  Mmf inv_sqrt() const;

  // f(F) from f at the eigenvalues of H (in the order of `spectrum`).
  Mmf with_values(const std::vector<double>& values) const;
  const std::vector<double>& spectrum() const;  // those of this rank

  LogDeterminant slogdet() const;
  double trace() const { return mmf::trace(*factors_.Q, factors_.H, factors_.scale); }
  double error(const DistRows<T>& A, double* relative_to) const {
    return mmf::error(A, *factors_.Q, factors_.H, factors_.scale, relative_to);
  }

  // The same Q and D for a matrix with other values.
  Mmf refactorize(const DistRows<T>& A) const;

 private:
  struct Cache {
    std::mutex mutex;
    bool is_made = false;
    Spectrum spectrum;
  };

  const Spectrum& eigen() const;
  void require_no_scale(const char* what) const;
  double largest() const;
  // Whether eigenvalue i of H is zero to rounding, for the core and for the diagonal.
  std::vector<bool> zeros() const;

  Factorization<T> factors_;
  std::shared_ptr<Cache> cache_ = std::make_shared<Cache>();
  std::shared_ptr<WorkspacePool<T>> pool_ = std::make_shared<WorkspacePool<T>>();
};

}  // namespace pympf::mmf
