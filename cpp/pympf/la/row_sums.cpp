#include "pympf/la/row_sums.hpp"

#include <algorithm>
#include <cmath>

namespace pympf {

template <class T>
void solve_dominated(const DistRows<T>& A, const T* r, T* x) {
  constexpr double far = 1000;
  const CsrView<T>& rows = A.rows;
  for (Index i = 0; i < rows.rows; ++i) {
    double diagonal = 0, others = 0;
    for (Index p = rows.indptr[i]; p < rows.indptr[i + 1]; ++p)
      if (rows.indices[p] == i + A.shift)
        diagonal = rows.data[p];
      else
        others += std::abs(rows.data[p]);
    if (std::abs(diagonal) > far * others) x[i] += static_cast<T>(r[i] / diagonal);
  }
}

template <class T>
double largest_row_sum(const DistRows<T>& A) {
  double largest = 0;
  for (Index i = 0; i < A.rows.rows; ++i) {
    double sum = 0;
    for (Index p = A.rows.indptr[i]; p < A.rows.indptr[i + 1]; ++p)
      sum += std::abs(double{A.rows.data[p]});
    largest = std::max(largest, sum);
  }
  return A.comm.max(largest);
}

#define PYMPF_INSTANTIATE(T)                           \
  template double largest_row_sum(const DistRows<T>&); \
  template void solve_dominated(const DistRows<T>&, const T*, T*);
PYMPF_INSTANTIATE(double)
PYMPF_INSTANTIATE(float)

}  // namespace pympf
