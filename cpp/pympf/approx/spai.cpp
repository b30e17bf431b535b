#include "pympf/approx/spai.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "pympf/common/parallel.hpp"

namespace pympf::approx {

namespace {

// One thread's dense problem, by columns.
struct Problem {
  std::vector<Index> place;  // of each row of A: where it is in `rows`, or -1
  std::vector<Index> rows;   // T_j
  std::vector<double> D, right;

  explicit Problem(Index n) : place(n, -1) {}

  void gather(const CsrView<double>& A, const CsrView<double>& W, const Index* S, Index count,
              Index j) {
    rows.clear();
    for (Index c = 0; c < count; ++c)
      for (Index p = A.indptr[S[c]]; p < A.indptr[S[c] + 1]; ++p)
        if (const Index i = A.indices[p]; place[i] < 0) {
          place[i] = static_cast<Index>(rows.size());
          rows.push_back(i);
        }
    const std::size_t m = rows.size();
    D.assign(m * count, 0.0);
    right.assign(m, 0.0);
    for (Index c = 0; c < count; ++c)
      for (Index p = A.indptr[S[c]]; p < A.indptr[S[c] + 1]; ++p)
        D[c * m + place[A.indices[p]]] += A.data[p];
    for (Index p = W.indptr[j]; p < W.indptr[j + 1]; ++p)
      if (const Index at = place[W.indices[p]]; at >= 0) right[at] += W.data[p];
    for (const Index i : rows) place[i] = -1;
  }

  // Turn the columns into R, one after the other, and solve R z = Q^T right.
  void solve(Index count, double* z) {
    const std::size_t m = rows.size();
    std::vector<std::size_t> row_of(count, m);  // of each pivot; m: a dependent column
    std::size_t k = 0;
    for (Index c = 0; c < count && k < m; ++c) {
      double* v = &D[c * m];
      double all = 0, below = 0;
      for (std::size_t i = 0; i < m; ++i) (i < k ? all : below) += v[i] * v[i];
      const double eps = std::numeric_limits<double>::epsilon() * static_cast<double>(m);
      if (below <= eps * eps * (all + below)) continue;
      const double alpha = std::copysign(std::sqrt(below), -v[k]);
      const double square = below - alpha * v[k];  // half of |v|^2
      v[k] -= alpha;
      for (Index d = c + 1; d <= count; ++d) {
        double* x = d < count ? &D[d * m] : right.data();
        double dot = 0;
        for (std::size_t i = k; i < m; ++i) dot += v[i] * x[i];
        dot /= square;
        for (std::size_t i = k; i < m; ++i) x[i] -= dot * v[i];
      }
      v[k] = alpha;
      row_of[c] = k++;
    }
    for (Index c = count; c-- > 0;) {
      z[c] = 0;
      if (row_of[c] == m) continue;
      double sum = right[row_of[c]];
      for (Index d = c + 1; d < count; ++d) sum -= D[d * m + row_of[c]] * z[d];
      z[c] = sum / D[c * m + row_of[c]];
    }
  }
};

}  // namespace

std::vector<double> sparse_inverse(const CsrView<double>& A, const CsrView<double>& W,
                                   const CsrView<double>& pattern) {
  std::vector<double> out(pattern.indptr[pattern.rows]);
  constexpr Index chunk_columns = 64;
  const Index chunks = (pattern.rows + chunk_columns - 1) / chunk_columns;
  parallel_with(chunks, Index{1}, chunks > 1, [&] {
    return [&, problem = Problem(A.cols)](Index chunk) mutable {
      const Index end = std::min(pattern.rows, (chunk + 1) * chunk_columns);
      for (Index j = chunk * chunk_columns; j < end; ++j) {
        const Index first = pattern.indptr[j], count = pattern.indptr[j + 1] - first;
        problem.gather(A, W, pattern.indices + first, count, j);
        problem.solve(count, out.data() + first);
      }
    };
  });
  return out;
}

}  // namespace pympf::approx
