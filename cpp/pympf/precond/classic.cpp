#include "pympf/precond/classic.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace pympf::precond {
namespace {

// Eigenvalues of H below this part of the largest one count as rounding.
constexpr double least_negative = 1e-10;

template <class T>
bool are_finite(const std::vector<T>& values) {
  return std::all_of(values.begin(), values.end(), [](T v) { return std::isfinite(v); });
}

template <class T>
bool is_row_major(const Block<T>& X) {
  if (X.stride != static_cast<std::size_t>(X.count())) return false;
  for (Index c = 1; c < X.count(); ++c)
    if (X.at(c) != X.at(0) + c) return false;
  return true;
}

}  // namespace

template <class T>
Classic<T>::Classic(Factorization F)
    : factorization_(std::move(F)), inverse_(factorization_->preconditioner()) {
  const auto& H = inverse_.factors().H;
  const bool own = are_finite(H.core) && are_finite(H.diagonal);
  require<Singular>(inverse_.comm().min(Global{own}) > 0,
                    "the inverse of the factorization is not finite: the entries of the matrix are "
                    "too large or too small; scale it");
}

template <class T>
Classic<T> Classic<T>::of(const DistRows<T>& A, const mmf::Params& params,
                          const mmf::Progress& progress) {
  return Classic(std::make_shared<const mmf::Mmf<T>>(mmf::factorize(A, params, progress)));
}

template <class T>
Classic<T> Classic<T>::updated(const DistRows<T>& A) const {
  return Classic(std::make_shared<const mmf::Mmf<T>>(factorization_->refactorize(A)));
}

template <class T>
Report Classic<T>::report() const {
  const Communicator& comm = factorization_->comm();
  double lowest = 0, size = 0, seconds = 0;
  for (double value : factorization_->spectrum()) {
    lowest = std::min(lowest, value);
    size = std::max(size, std::abs(value));
  }
  for (const auto& stage : factorization_->factors().stages) seconds += stage.seconds;
  Report out;
  out.method = "classic";
  out.indefinite = -comm.min(lowest) > least_negative * comm.max(size);
  out.work = multiply_adds();
  out.seconds = seconds;
  return out;
}

// A pair is stored by two numbers and costs four multiplications.
template <class T>
double Classic<T>::multiply_adds() const {
  const auto& F = inverse_.factors();
  double rotations = 0;
  for (const auto& stage : F.Q->stages)
    rotations += (stage.pairs ? 2.0 : 1.0) * static_cast<double>(stage.matrix.size());
  return 2 * (rotations + static_cast<double>(F.scale.size())) +
         static_cast<double>(F.H.core.size() + F.H.sparse_core.data.size() + F.H.diagonal.size());
}

template <class T>
void Classic<T>::apply(const Block<const T>& R, const Block<T>& Z) const {
  if (R.count() > 0 && is_row_major(R) && is_row_major(Z))
    return inverse_.multiply(R.at(0), Z.at(0), R.count());
  for_panels(R.count(), [&](Index first, Index count, Index lanes) {
    typename Pool<std::vector<T>>::Lease panel(*panels_);
    panel->resize(std::max(panel->size(), static_cast<std::size_t>(R.n) * lanes));
    to_panel(R, first, count, lanes, panel->data());
    inverse_.multiply(panel->data(), panel->data(), lanes);
    from_panel(panel->data(), lanes, Z, first, count);
  });
}

template class Classic<float>;
template class Classic<double>;

}  // namespace pympf::precond
