#include "pympf/mmf/mmf.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace pympf::mmf {

template <class T>
Mmf<T>::Mmf(Factorization<T> factors) : factors_(std::move(factors)) {}

template <class T>
std::size_t Mmf<T>::bytes() const {
  const auto& H = factors_.H;
  return factors_.Q->bytes() +
         sizeof(T) * (H.core.size() + H.diagonal.size() + H.sparse_core.data.size() +
                      factors_.scale.size()) +
         sizeof(Index) * (H.sparse_core.indices.size() + H.sparse_core.indptr.size());
}

template <class T>
void Mmf<T>::transform(const T* x, T* y, Index m) const {
  typename WorkspacePool<T>::Lease workspace(*pool_);
  factors_.Q->forward(x, y, m, *workspace);
}

template <class T>
void Mmf<T>::inverse_transform(const T* y, T* x, Index m) const {
  inverse_transform(y, x, m, levels());
}

template <class T>
void Mmf<T>::inverse_transform(const T* y, T* x, Index m, int level) const {
  typename WorkspacePool<T>::Lease workspace(*pool_);
  factors_.Q->backward(y, x, m, *workspace, level);
}

template <class T>
void Mmf<T>::multiply(const T* x, T* y, Index m) const {
  typename WorkspacePool<T>::Lease workspace(*pool_);
  const Index coefficients = factors_.Q->coefficients();
  const std::size_t size = static_cast<std::size_t>(std::max(rows(), coefficients)) * m;
  const std::vector<T>& scale = factors_.scale;
  const auto scaled = [&](const T* from, T* to) {
    for (Index i = 0; i < rows(); ++i)
      for (Index q = 0; q < m; ++q) {
        const std::size_t k = static_cast<std::size_t>(i) * m + q;
        to[k] = scale[i] * from[k];
      }
  };
  auto& w = *workspace;
  if (w.coefficients.size() < size) w.coefficients.resize(size);
  if (!scale.empty()) {
    if (w.scaled.size() < size) w.scaled.resize(size);
    scaled(x, w.scaled.data());
    x = w.scaled.data();
  }
  factors_.Q->forward(x, w.coefficients.data(), m, w);
  if (w.in.size() < size) w.in.resize(size);
  factors_.H.multiply(w.coefficients.data(), w.in.data(), m);
  factors_.Q->backward(w.coefficients.data(), y, m, w, levels());
  if (!scale.empty()) scaled(y, y);
}

template <class T>
const Spectrum& Mmf<T>::eigen() const {
  // Not call_once: of an exception that leaves it the thread sanitizer knows nothing.
  const std::lock_guard lock(cache_->mutex);
  if (!cache_->is_made) {
    collectively(comm(), [&] { cache_->spectrum = factors_.H.spectrum(); });
    cache_->is_made = true;
  }
  return cache_->spectrum;
}

template <class T>
const std::vector<double>& Mmf<T>::spectrum() const {
  return eigen().values;
}

template <class T>
double Mmf<T>::largest() const {
  double most = 0;
  for (double value : spectrum()) most = std::max(most, std::abs(value));
  return comm().max(most);
}

template <class T>
std::vector<bool> Mmf<T>::zeros() const {
  constexpr double epsilon = std::numeric_limits<T>::epsilon();
  const auto& values = spectrum();
  const Index c = core_size();
  double most = 0;
  for (Index i = 0; i < c; ++i) most = std::max(most, std::abs(values[i]));
  const double core = most * epsilon * std::max<Index>(10, c), diagonal = 4 * epsilon * largest();
  std::vector<bool> out(values.size());
  for (std::size_t i = 0; i < values.size(); ++i)
    out[i] = std::abs(values[i]) <= (static_cast<Index>(i) < c ? core : diagonal);
  return out;
}

template <class T>
Mmf<T> Mmf<T>::with_values(const std::vector<double>& values) const {
  collectively(comm(), [&] {
    const std::size_t expected = eigen().values.size();
    require(values.size() == expected, "expected ", expected,
            " values, one for each eigenvalue of H, not ", values.size());
    for (double v : values)
      require(std::isfinite(v),
              "a function of the factorization is not finite at an eigenvalue of H");
  });
  require_no_scale("a function");
  Factorization<T> out = factors_;
  out.H = from_spectrum<T>({values, eigen().vectors}, core_size());
  return Mmf(std::move(out));
}

template <class T>
void Mmf<T>::require_no_scale(const char* what) const {
  require(factors_.scale.empty(), what,
          " of a prenormalized factorization D Q^T H Q D is not Q^T f(H) Q: factorize with "
          "prenormalize = false (multiply, solve, inverse, logdet and trace work with it)");
}

namespace {

// The inverse of D Q^T H Q D scales by D^-1.
template <class T>
Factorization<T> inverted(const Factorization<T>& factors, const Spectrum& spectrum,
                          std::vector<double> values) {
  Factorization<T> out = factors;
  out.H = from_spectrum<T>({std::move(values), spectrum.vectors}, factors.H.core_size);
  for (T& d : out.scale) d = 1 / d;
  return out;
}

}  // namespace

template <class T>
Mmf<T> Mmf<T>::inverse(double rcond, bool absolute) const {
  const double threshold = rcond >= 0 ? rcond * largest() : 0;
  const auto zero = zeros();
  const Global singular = comm().sum(Global{std::count(zero.begin(), zero.end(), true)});
  require<Singular>(rcond >= 0 || singular == 0, "H is singular to working precision: ", singular,
                    " of its ", factors_.Q->layout.total(),
                    " eigenvalues vanish; give rcond for a pseudo-inverse");
  std::vector<double> values(spectrum());
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double size = std::abs(values[i]);
    values[i] = zero[i] || size <= threshold ? 0 : 1 / (absolute ? size : values[i]);
  }
  return Mmf(inverted(factors_, eigen(), std::move(values)));
}

template <class T>
Mmf<T> Mmf<T>::preconditioner() const {
  const double most = largest();
  const auto zero = zeros();
  std::vector<double> values(spectrum());
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = zero[i] ? (most > 0 ? 1 / most : 1) : 1 / std::abs(values[i]);
  return Mmf(inverted(factors_, eigen(), std::move(values)));
}

template <class T>
Mmf<T> Mmf<T>::sqrt() const {
  const auto zero = zeros();
  std::vector<double> values(spectrum());
  double least = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (!zero[i]) least = std::min(least, values[i]);
    values[i] = std::sqrt(std::max(0.0, values[i]));
  }
  least = comm().min(least);
  require<Singular>(least >= 0, "H has a negative eigenvalue, ", least, ": no real square root");
  return with_values(values);
}

template <class T>
Mmf<T> Mmf<T>::inv_sqrt() const {
  const auto zero = zeros();
  std::vector<double> values(spectrum());
  double least = std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i < values.size(); ++i) {
    least = std::min(least, zero[i] ? 0 : values[i]);
    values[i] = 1 / std::sqrt(values[i]);
  }
  least = comm().min(least);
  require<Singular>(least > 0, "H has an eigenvalue that is not positive, ", least,
                    ": no inverse square root");
  return with_values(values);
}

template <class T>
LogDeterminant Mmf<T>::slogdet() const {
  const auto zero = zeros();
  const auto& values = spectrum();
  Global negative = 0, null = 0;
  double log = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    null += zero[i];
    negative += values[i] < 0;
    if (!zero[i]) log += std::log(std::abs(values[i]));
  }
  for (T d : factors_.scale) log += 2 * std::log(static_cast<double>(d));
  if (comm().sum(null) > 0) return {0, -std::numeric_limits<double>::infinity()};
  return {comm().sum(negative) % 2 ? -1.0 : 1.0, comm().sum(log)};
}

template <class T>
Mmf<T> Mmf<T>::refactorize(const DistRows<T>& A) const {
  Factorization<T> out = factors_;
  out.H = project(A, *factors_.Q, factors_.scale);
  double norm = 0;
  out.dropped = mmf::error(A, *factors_.Q, out.H, factors_.scale, &norm);
  out.norm = norm;
  return Mmf(std::move(out));
}

template class Mmf<double>;
template class Mmf<float>;

}  // namespace pympf::mmf
