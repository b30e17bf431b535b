// H: a core over the columns that stayed active, and a diagonal over the wavelets (thesis,
// section 2.1, condition 3).
#pragma once

#include <vector>

#include "pympf/la/csr.hpp"

namespace pympf::mmf {

// Eigenvalues of H: those of the core in ascending order, then the diagonal.
struct Spectrum {
  std::vector<double> values;
  std::vector<double> vectors;  // of the core; row i belongs to eigenvalue i
};

template <class T>
struct CoreDiagonal {
  Index core_size = 0;
  std::vector<T> core;      // core_size x core_size, row-major; or empty:
  Csr<T> sparse_core;       // when a factorization stopped early and left a large core
  std::vector<T> diagonal;  // one entry per wavelet, coarsest stage first

  bool is_dense() const { return sparse_core.rows == 0; }
  Index rows() const { return core_size + static_cast<Index>(diagonal.size()); }

  // y <- H y for m vectors, row-major; scratch holds core_size * m numbers.
  void multiply(T* y, T* scratch, Index m) const;

  // Throws InvalidArgument when the core is too large for a dense eigensolver.
  Spectrum spectrum() const;

  double trace() const;
  double norm2() const;
};

// The symmetric part of A as a core: dense when it is small or mostly full.
template <class T>
CoreDiagonal<T> make_core(const CsrView<T>& A);

// V^T diag(values) V over the core, values over the wavelets.
template <class T>
CoreDiagonal<T> from_spectrum(const Spectrum& spectrum, Index core_size);

}  // namespace pympf::mmf
