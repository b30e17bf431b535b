// What the tests of the factorization share: matrices, parameters, dense references, invariants.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "matrices.hpp"
#include "pympf/la/dense.hpp"
#include "pympf/mmf/mmf.hpp"

namespace pympf::mmf_test {

using namespace pympf::mmf;
using namespace pympf::test;

constexpr double unlimited = std::numeric_limits<double>::infinity();

// ---- matrices and parameters

struct Named {
  std::string name;
  Csr<double> A;
};

inline std::vector<Named> matrices() {
  return {{"grid", grid({9, 11})},
          {"random", random_symmetric(90, 5, 1)},
          {"definite", random_symmetric(80, 4, 2, test::Kind::definite)},
          {"star", star(60)},
          {"power law", power_law(90, 3, 3)},
          {"adjacency", adjacency(90, 3, 3)},
          {"disconnected", disconnected({30, 1, 2, 25, 1, 9}, 4)},
          {"hierarchical", hierarchical(6, 5)}};
}

// The defaults with a small core, after `change`.
inline Params with(const std::function<void(Params&)>& change = {}) {
  Params params;
  params.core_size = 10;
  if (change) change(params);
  return params;
}

inline std::vector<Params> variations() {
  return {
      with(),
      with([](Params& p) { p.order = 3; }),
      with([](Params& p) { p.order = 4, p.eliminate = 3, p.criterion = Criterion::inner_product; }),
      with([](Params& p) { p.order = 3, p.eliminate = 2, p.gram = Gram::blocks; }),
      with([](Params& p) { p.criterion = Criterion::inner_product; }),
      with([](Params& p) { p.criterion = Criterion::normalized_inner_product; }),
      with([](Params& p) { p.selection = Selection::random, p.retire = Retire::absolute; }),
      with([](Params& p) { p.gram = Gram::blocks, p.max_cluster_size = 16; }),
      with([](Params& p) { p.clustering = Clustering::inner_product, p.clusters = 4; }),
      with([](Params& p) { p.max_cluster_size = 12, p.min_cluster_size = 5; }),
      with([](Params& p) { p.rotation_fraction = 1, p.hub_factor = 1, p.seed = 7; }),
      with([](Params& p) { p.rotation_fraction = 0.2, p.max_stages = 3; }),
      with([](Params& p) { p.tolerance = 0.2; }),
      with([](Params& p) { p.core_size = 1; }),
  };
}

// ---- dense references

template <class T>
Dense basis(const Hierarchy<T>& Q) {
  const std::size_t n = Q.rows;
  std::vector<T> I(n * n, T(0)), Y(n * n);
  for (std::size_t i = 0; i < n; ++i) I[i * (n + 1)] = 1;
  Workspace<T> workspace;
  Q.forward(I.data(), Y.data(), Q.rows, workspace);
  Dense out(Q.rows, Q.rows);
  std::copy(Y.begin(), Y.end(), out.entries.begin());
  return out;
}

template <class T>
Dense dense(const CoreDiagonal<T>& H) {
  Dense out(H.rows(), H.rows());
  const Dense sparse = test::dense(H.sparse_core);
  for (Index i = 0; i < H.core_size; ++i)
    for (Index j = 0; j < H.core_size; ++j)
      out(i, j) =
          H.is_dense() ? H.core[static_cast<std::size_t>(i) * H.core_size + j] : sparse(i, j);
  for (Index i = H.core_size; i < H.rows(); ++i) out(i, i) = H.diagonal[i - H.core_size];
  return out;
}

// D Q^T H Q D.
template <class T>
Dense restored(const Factorization<T>& F) {
  const Dense Q = basis(*F.Q);
  Dense out = transposed(Q) * dense(F.H) * Q;
  if (!F.scale.empty())
    for (Index i = 0; i < out.rows; ++i)
      for (Index j = 0; j < out.cols; ++j)
        out(i, j) *= static_cast<double>(F.scale[i]) * F.scale[j];
  return out;
}

inline std::vector<double> eigenvalues(Dense A) { return symmetric_eigen(A.entries, A.rows); }

inline Dense function(Dense A, const std::function<double(double)>& f) {
  auto values = symmetric_eigen(A.entries, A.rows);
  for (double& v : values) v = f(v);
  Dense out(A.rows, A.rows);
  out.entries = congruence(A.entries, values.data(), A.rows);
  return out;
}

template <class T>
Dense dense(const Mmf<T>& F) {
  const std::size_t n = F.rows();
  std::vector<T> X(n * n, T(0));
  for (std::size_t i = 0; i < n; ++i) X[i * (n + 1)] = 1;
  F.multiply(X.data(), X.data(), F.rows());
  Dense out(F.rows(), F.rows());
  std::copy(X.begin(), X.end(), out.entries.begin());
  return out;
}

template <class T>
Mmf<T> mmf_of(const Csr<T>& A, const Params& params) {
  return Mmf<T>(factorize(A.view(), params));
}

template <class T>
std::vector<T> random_block(std::size_t size, int seed = 3) {
  Random random(seed, 2, 0);
  std::vector<T> x(size);
  for (T& value : x) value = static_cast<T>(uniform(random) - 0.5);
  return x;
}

// ---- what must hold for every factorization without a scale

template <class T>
void check_invariants(const Csr<T>& A, const Factorization<T>& F) {
  const Index n = A.rows;
  const Dense dense_A = test::dense(A), Q = basis(*F.Q), H = dense(F.H);
  const double size = norm(dense_A), small = rounding<T>(30 * std::sqrt(n), size);
  CHECK(distance(Q * transposed(Q), identity(n)) <= rounding<T>(30 * std::sqrt(n)));
  CHECK(std::abs(F.norm - size) <= small);

  Dense pinched = Q * dense_A * transposed(Q);  // its core and its diagonal are H
  for (Index i = 0; i < n; ++i)
    for (Index j = 0; j < n; ++j)
      if (i != j && std::max(i, j) >= F.H.core_size) pinched(i, j) = 0;
  CHECK(distance(H, pinched) <= small);
  CHECK(distance(H, transposed(H)) == 0);
  CHECK(std::abs(test::trace(H) - test::trace(dense_A)) <= small);
  CHECK(std::abs(F.H.trace() - test::trace(H)) <= small);
  CHECK(std::abs(F.H.norm2() - norm(H) * norm(H)) <= small * size);

  const double off = distance(dense_A, restored(F));
  CHECK(std::abs(off * off - (size * size - F.H.norm2())) <= small * size);
  CHECK(std::abs(off * off - F.dropped * F.dropped) <= small * size);
  double relative_to = 0;
  CHECK(std::abs(error<T>(A.view(), *F.Q, F.H, F.scale, &relative_to) - off) <= small);
  CHECK(std::abs(relative_to - size) <= small);
}

// Rows, entries and counts of the report agree with the stages.
template <class T>
void check_report(const Csr<T>& A, const Factorization<T>& F) {
  REQUIRE(F.stages.size() == F.Q->stages.size());
  Index rows = A.rows;
  double dropped2 = 0;
  for (std::size_t p = 0; p < F.stages.size(); ++p) {
    const auto& [level, stage_rows, nnz, clusters, bypassed, rotations, retired, ranks, dropped,
                 bytes, seconds, traffic] = F.stages[p];
    CHECK(ranks == 1);
    CHECK(traffic.messages + traffic.bytes + traffic.collectives == 0);
    const auto& stage = F.Q->stages[p];
    CHECK(level == static_cast<int>(p) + 1);
    CHECK(stage_rows == rows);
    CHECK((p > 0 || nnz == A.nnz()));
    CHECK(clusters + (bypassed > 0) == stage.clusters());
    CHECK(rotations == stage.rotations());
    CHECK(retired == stage.rows - stage.kept);
    CHECK(retired > 0);
    CHECK(bytes == stage.bytes());
    CHECK(seconds >= 0);
    dropped2 += dropped * dropped * F.norm * F.norm;
    rows -= retired;
  }
  CHECK(rows == F.H.core_size);
  CHECK(std::abs(dropped2 - F.dropped * F.dropped) <= rounding<T>(100, F.norm * F.norm));
}

inline bool same(const Stage<double>& p, const Stage<double>& q) {
  return p.rows == q.rows && p.kept == q.kept && p.pairs == q.pairs &&
         p.cluster_ptr == q.cluster_ptr && p.active_ptr == q.active_ptr &&
         p.rotation_ptr == q.rotation_ptr && p.index == q.index && p.matrix == q.matrix &&
         p.index_start == q.index_start && p.matrix_start == q.matrix_start &&
         p.destination == q.destination;
}

inline bool same(const Factorization<double>& F, const Factorization<double>& G) {
  return F.Q->order == G.Q->order &&
         std::ranges::equal(F.Q->stages, G.Q->stages,
                            [](const auto& p, const auto& q) { return same(p, q); }) &&
         F.H.core == G.H.core && F.H.sparse_core.data == G.H.sparse_core.data &&
         F.H.diagonal == G.H.diagonal && F.scale == G.scale && F.norm == G.norm &&
         F.dropped == G.dropped;
}

}  // namespace pympf::mmf_test
