#include "pympf/precond/levels/petrov_stage.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "pympf/la/rows.hpp"
#include "pympf/la/sparse.hpp"

namespace pympf::precond {
namespace {

GlobalRows<double> with_global_columns(const Border& border, const Csr<double>& A) {
  GlobalRows<double> out{A.indptr, {}, A.data};
  for (const Index c : A.indices) out.indices.push_back(border.number(c));
  return out;
}

GlobalRows<double> transposed_rows(const Border& border, const Csr<double>& A) {
  const Csr<double> T = transpose(A.view());
  GlobalRows<double> rows;
  std::vector<Global> numbers;
  for (Index c = 0; c < T.rows; ++c) {
    if (T.indptr[c] == T.indptr[c + 1]) continue;
    numbers.push_back(border.number(c));
    for (Index p = T.indptr[c]; p < T.indptr[c + 1]; ++p) {
      rows.indices.push_back(border.layout.first() + T.indices[p]);
      rows.data.push_back(T.data[p]);
    }
    rows.indptr.push_back(static_cast<Index>(rows.data.size()));
  }
  return add_rows(border.comm, border.layout, rows, numbers);
}

// A^T where A has a symmetric pattern: in that one, so nothing but numbers moves. Else false.
bool transpose_in_place(PetrovStage& stage) {
  const Csr<double>& A = stage.A;
  Csr<double> T{A.rows, A.cols, A.indptr, A.indices, std::vector<double>(A.data.size())};
  std::vector<Index> next(A.indptr.begin(), A.indptr.end() - 1);
  for (Index i = 0; i < A.rows; ++i)
    for (Index p = A.indptr[i]; p < A.indptr[i + 1]; ++p) {
      const Index j = A.indices[p], q = next[j]++;
      if (q == A.indptr[j + 1] || A.indices[q] != i) return false;
      T.data[q] = A.data[p];
    }
  stage.At = std::move(T);
  stage.same_pattern = true;
  return true;
}

// sum_j |a_ij - a_ji| / sum_j |a_ij + a_ji| off the diagonal, the mean of all rows: 0 symmetric, 1
// one-sided. (Of sums over all rows, where the largest coefficients are would decide.)
double skewness(const PetrovStage& stage) {
  double total = 0;
  for (Index i = 0; i < stage.A.rows; ++i) {
    double skew = 0, sum = 0;
    Index q = stage.At.indptr[i];
    const Index end = stage.At.indptr[i + 1];
    for (Index p = stage.A.indptr[i]; p < stage.A.indptr[i + 1]; ++p) {
      const Index j = stage.A.indices[p];
      while (q < end && stage.At.indices[q] < j) ++q;
      const double mirror = q < end && stage.At.indices[q] == j ? stage.At.data[q] : 0;
      if (j == i) continue;
      skew += std::abs(stage.A.data[p] - mirror);
      sum += std::abs(stage.A.data[p] + mirror);
    }
    if (sum > 0) total += std::min(skew / sum, 1.0);
  }
  const Global rows = stage.rows();
  return rows > 0 ? stage.border.comm.sum(total) / static_cast<double>(rows) : 0;
}

}  // namespace

Csr<double> symmetric_part(const PetrovStage& stage) {
  const Csr<double>&A = stage.A, &At = stage.At;
  if (stage.same_pattern) {
    Csr<double> T = A;
    for (Index p = 0; p < A.nnz(); ++p) T.data[p] = (A.data[p] + At.data[p]) / 2;
    return T;
  }
  return build_rows(A.rows, std::max(A.cols, At.cols), [&] {
    return [&](Index i, Entries& out) {
      Index p = A.indptr[i], q = At.indptr[i];
      const Index p_end = A.indptr[i + 1], q_end = At.indptr[i + 1];
      while (p < p_end || q < q_end) {
        const Index c = p < p_end ? A.indices[p] : At.indices[q];
        const Index j = q < q_end ? std::min(c, At.indices[q]) : c;
        double sum = 0;
        if (p < p_end && A.indices[p] == j) sum += A.data[p++];
        if (q < q_end && At.indices[q] == j) sum += At.data[q++];
        out.emplace_back(j, sum / 2);
      }
    };
  });
}

void add_transpose(PetrovStage& stage) {
  if (stage.border.alone()) {
    if (!transpose_in_place(stage)) stage.At = transpose(stage.A.view());
    stage.skewness = skewness(stage);
    return;
  }
  const GlobalRows<double> own = with_global_columns(stage.border, stage.A);
  const GlobalRows<double> mirrored = transposed_rows(stage.border, stage.A);
  std::vector<Global> columns = own.indices, nodes;
  columns.insert(columns.end(), mirrored.indices.begin(), mirrored.indices.end());
  for (std::size_t g = 0; g < stage.border.ghosts.size(); g += stage.block)
    nodes.push_back(stage.border.ghosts[g] / stage.block);
  stage.border = border_of(stage.border.comm, stage.border.layout, columns, nodes, stage.block);
  stage.A = localized(stage.border, own);
  stage.At = localized(stage.border, mirrored);
  stage.skewness = skewness(stage);
}

void take_symmetric_part(PetrovStage& stage) {
  if (stage.skewness > nearly_symmetric || stage.right.vectors > 1 || stage.block > 1) return;
  const bool same = stage.right.values == stage.left.values;
  stage.one_side = stage.border.comm.min(Global{same}) > 0;
  if (stage.one_side) stage.T = symmetric_part(stage);
}

}  // namespace pympf::precond
