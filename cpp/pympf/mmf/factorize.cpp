// pMMF (thesis, section 2.2, Algorithm 1):
//
//   A_0 = A;  for p = 1 .. P:  cluster the active columns;  [Q_p]_uu =
//   FindRotationsForCluster([A_{p-1}]_{:,B_u}) for every cluster u;  A_p = the active part of Q_p
//   A_{p-1} Q_p^T;  H = core of A_P plus the diagonal entries that retired.
//
//   paper                        code
//   A_p (active part)            A
//   B_1 ∪ ... ∪ B_m              Clusters
//   Q_p                          Stage
//   eta                          rotation_fraction
//   P                            max_stages
//
// Cost of a stage: clusters O(nnz), Gram matrices sum_k min(deg_k, hub)^2, rotations O(entries of
// the Gram rows they merge), next matrix O(nnz). With pairs the active functions have disjoint
// supports, so A_p is a weighted contraction of the graph of A_{p-1} and never has more entries.
// Everything but the clustering runs over clusters or rows in parallel, and nothing depends on the
// number of threads.
#include "pympf/mmf/factorize.hpp"

#include <chrono>
#include <cmath>
#include <limits>
#include <numeric>

#include "pympf/la/sparse.hpp"
#include "pympf/mmf/cluster.hpp"
#include "pympf/mmf/rotation.hpp"

namespace pympf::mmf {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// D^-1 A D^-1.
template <class T>
Csr<T> unscaled(const CsrView<T>& A, const std::vector<T>& scale) {
  Csr<T> out{
      A.rows, A.cols, {A.indptr, A.indptr + A.rows + 1}, {A.indices, A.indices + A.nnz()}, {}};
  out.data.resize(A.nnz());
#pragma omp parallel for schedule(static) if (worth_threads(A.nnz()))
  for (Index i = 0; i < A.rows; ++i)
    for (Index p = A.indptr[i]; p < A.indptr[i + 1]; ++p)
      out.data[p] = A.data[p] / (scale[i] * scale[A.indices[p]]);
  return out;
}

// The Gram matrix holds squares, and sums of squares, of the entries: they must neither overflow
// nor vanish.
template <class T>
void check_range(const CsrView<T>& A) {
  constexpr double least = 1e-70, most = 1e70;
  double largest = 0;
  for (Index p = 0; p < A.nnz(); ++p)
    largest = std::max(largest, static_cast<double>(std::abs(A.data[p])));
  require(largest == 0 || (largest >= least && largest <= most), "the largest entry is ", largest,
          " in size, outside [1e-70, 1e70], where fourth powers are safe: scale the matrix");
}

// d_i = sqrt ||A_:,i||, so that the columns of D^-1 A D^-1 have comparable norms; 1 for a zero
// column.
template <class T>
std::vector<T> column_scale(const CsrView<T>& A) {
  std::vector<T> scale(A.rows, T(1));
  for (Index i = 0; i < A.rows; ++i) {
    double sum = 0;
    for (Index p = A.indptr[i]; p < A.indptr[i + 1]; ++p)
      sum += static_cast<double>(A.data[p]) * A.data[p];
    if (sum > 0) scale[i] = static_cast<T>(std::pow(sum, 0.25));
  }
  return scale;
}

// Shares out, in proportion to the sizes of the clusters, how many columns may retire before
// core_size is reached and how much they may drop.
std::vector<Limits> share_limits(const Clusters& clusters, Index rows, Index core_size,
                                 double dropped2) {
  const Global budget = rows - core_size, in_clusters = std::max<Global>(1, clusters.ptr.back());
  std::vector<Limits> limits(clusters.count());
  for (Index u = 0; u < clusters.count(); ++u) {
    const auto share = [&](Global columns) { return budget * columns / in_clusters; };
    const Global retire = share(clusters.ptr[u + 1]) - share(clusters.ptr[u]);
    limits[u] = {static_cast<Index>(std::min<Global>(retire, clusters.size(u))),
                 dropped2 * clusters.size(u) / static_cast<double>(in_clusters)};
  }
  return limits;
}

// About what the Gram matrices cost, in products: one for each pair of entries of a row of A.
template <class T>
std::size_t gram_work(const CsrView<T>& A) {
  const std::size_t rows = A.rows, nnz = A.nnz();
  return nnz * nnz / rows;
}

// The rotations of all clusters.
template <class T>
std::vector<RotationList> find_all_rotations(const CsrView<T>& A, const Clusters& clusters,
                                             const Params& params, int level, double dropped2) {
  const std::vector<T> diag = diagonal(A);
  const Index hub = hub_limit(A, params);
  const auto limits = share_limits(clusters, A.rows, params.core_size, dropped2);
  std::vector<Index> position(A.rows);
  for (Index i = 0; i < A.rows; ++i) position[clusters.members[i]] = i;
  std::vector<RotationList> found(clusters.count());
#pragma omp parallel if (worth_threads(gram_work(A)))
  {
    ClusterGram gram;
#pragma omp for schedule(dynamic)
    for (Index u = 0; u < clusters.count(); ++u) {
      const Index first = clusters.ptr[u];
      gram.build(A, diag.data(), position, &clusters.members[first], first, clusters.size(u), hub,
                 params.gram);
      find_rotations(gram, params, Random(params.seed, level, u), limits[u], found[u]);
    }
  }
  return found;
}

// Orders the columns of a cluster as a stage wants them: active ones first, then the retired ones
// in the order of their rotations. Returns the new local number of each old one.
std::vector<Index> sort_cluster(const std::vector<Index>& retired, Index* members, Index size) {
  std::vector<Index> number(size, -1), before(members, members + size);
  Index next = size - static_cast<Index>(retired.size());
  for (Index l : retired) number[l] = next++;
  next = 0;
  for (Index l = 0; l < size; ++l)
    if (number[l] < 0) number[l] = next++;
  for (Index l = 0; l < size; ++l) members[number[l]] = before[l];
  return number;
}

// The stage of these rotations; the members of the clusters are put into its order.
template <class T>
Stage<T> assemble(const std::vector<RotationList>& found, Clusters& clusters, Index rows) {
  Stage<T> stage;
  stage.rows = rows;
  stage.cluster_ptr = clusters.ptr;
  stage.active_ptr.push_back(0);
  stage.rotation_ptr.push_back(0);
  for (const auto& list : found)
    for (Index k : list.size) stage.pairs = stage.pairs && k == 2;
  if (!stage.pairs) stage.index_start = stage.matrix_start = {0};
  for (Index u = 0; u < clusters.count(); ++u) {
    const auto& list = found[u];
    const Index first = clusters.ptr[u], retired = static_cast<Index>(list.retired.size());
    const auto number = sort_cluster(list.retired, &clusters.members[first], clusters.size(u));
    for (Index l : list.index) stage.index.push_back(first + number[l]);
    if (stage.pairs) {
      for (std::size_t t = 0; t < list.size.size(); ++t)
        for (int e = 0; e < 2; ++e) stage.matrix.push_back(static_cast<T>(list.matrix[4 * t + e]));
    } else {
      for (double o : list.matrix) stage.matrix.push_back(static_cast<T>(o));
      for (Index k : list.size) {
        stage.index_start.push_back(stage.index_start.back() + k);
        stage.matrix_start.push_back(stage.matrix_start.back() + static_cast<std::size_t>(k) * k);
      }
    }
    stage.active_ptr.push_back(stage.active_ptr.back() + clusters.size(u) - retired);
    stage.rotation_ptr.push_back(stage.rotation_ptr.back() + static_cast<Index>(list.size.size()));
  }
  if (const Index bypassed = rows - clusters.ptr.back();
      bypassed > 0) {  // a last cluster without rotations
    stage.cluster_ptr.push_back(rows);
    stage.active_ptr.push_back(stage.active_ptr.back() + bypassed);
    stage.rotation_ptr.push_back(stage.rotation_ptr.back());
  }
  stage.kept = stage.active_ptr.back();
  stage.destination.resize(stage.kept);
  std::iota(stage.destination.begin(), stage.destination.end(), 0);
  return stage;
}

template <class T>
struct Projected {
  Csr<T> A;                 // active part of Q_p A Q_p^T
  std::vector<T> diagonal;  // of its wavelets
};

template <class T>
Projected<T> project_stage(const CsrView<T>& A, const Stage<T>& stage, const Index* members) {
  const Csr<T> active = stage_functions(stage, members, 0, stage.kept);
  const Csr<T> wavelets = stage_functions(stage, members, stage.kept, stage.rows);
  return {galerkin(A, active.view()), galerkin_diagonal(A, wavelets.view())};
}

// Sends the active columns of the last stage to their places in the cluster order of the one that
// follows.
template <class T>
void reorder_active(Stage<T>& stage, const std::vector<Index>& members) {
  std::vector<Index> position(members.size());
  for (Index i = 0; i < static_cast<Index>(members.size()); ++i) position[members[i]] = i;
  for (Index& d : stage.destination) d = position[d];
}

double squares(const auto& values) {
  double sum = 0;
  for (auto v : values) sum += static_cast<double>(v) * v;
  return sum;
}

// What the first stage of Q works on: the matrix, or D^-1 A D^-1, which is then kept in `owned`.
template <class T>
CsrView<T> input_of(const Hierarchy<T>& Q, const CsrView<T>& matrix, const std::vector<T>& scale,
                    Csr<T>& owned) {
  require(matrix.rows == Q.rows && matrix.cols == Q.rows, "expected a ", Q.rows, " x ", Q.rows,
          " matrix, not ", matrix.rows, " x ", matrix.cols);
  check_range(matrix);
  if (scale.empty()) return matrix;
  owned = unscaled(matrix, scale);
  return owned;
}

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr const char* stop_names[] = {"core_size", "max_stages", "tolerance", "stalled"};

}  // namespace

const char* name(Stop stop) { return stop_names[static_cast<int>(stop)]; }

Stop stop_from_name(const std::string& text) {
  for (int i = 0; i < 4; ++i)
    if (text == stop_names[i]) return static_cast<Stop>(i);
  throw InvalidArgument("unknown reason of a stop: " + text);
}

template <class T>
Factorization<T> factorize(const CsrView<T>& matrix, const Params& params,
                           const Progress& progress) {
  check(params);
  require(matrix.rows == matrix.cols, "a square matrix is needed, not ", matrix.rows, " x ",
          matrix.cols);
  check_range(matrix);
  Factorization<T> F;
  F.params = params;
  Csr<T> owned;
  CsrView<T> A = matrix;
  if (params.prenormalize) {
    F.scale = column_scale(A);
    owned = unscaled(A, F.scale);
    A = owned;
  }
  const double total2 = norm2(A);
  F.norm = std::sqrt(total2);
  auto Q = std::make_shared<Hierarchy<T>>();
  Q->rows = A.rows;
  std::vector<std::vector<T>> diagonals;
  const double allowed2 = params.tolerance * params.tolerance * total2;
  double kept2 = total2, dropped2 = 0;

  for (int level = 1;; ++level) {
    F.stop = A.rows <= params.core_size ? Stop::core_size : Stop::max_stages;
    if (A.rows <= params.core_size || level > params.max_stages) break;
    const auto start = Clock::now();
    Clusters clusters;
    // Half of what the tolerance has left: what is cheap to drop now need not be cheap later. Where
    // the Gram matrix does not see all that a row drops (hubs, blocks), the stage is tried again
    // with less.
    double budget = params.tolerance > 0 ? 0.5 * (allowed2 - dropped2) : infinity;
    Stage<T> stage;
    Projected<T> projected;
    double next2 = 0, lost2 = 0;
    for (int attempt = 0; attempt < 4; ++attempt, budget *= 0.25) {
      clusters = cluster(A, params, level);
      stage = assemble<T>(find_all_rotations(A, clusters, params, level, budget), clusters, A.rows);
      if (stage.kept == stage.rows) break;
      projected = project_stage(A, stage, clusters.members.data());
      next2 = norm2(projected.A.view());
      lost2 = std::max(0.0, kept2 - next2 - squares(projected.diagonal));
      if (budget == infinity || dropped2 + lost2 <= allowed2) break;
      stage.kept = stage.rows;  // refused
    }
    if (stage.kept == stage.rows) {
      F.stop = params.tolerance > 0 ? Stop::tolerance : Stop::stalled;
      break;
    }

    if (level == 1)
      Q->order = clusters.members;
    else
      reorder_active(Q->stages.back(), clusters.members);
    F.stages.push_back({level, A.rows, A.nnz(), clusters.count(), A.rows - clusters.ptr.back(),
                        stage.rotations(), stage.rows - stage.kept,
                        F.norm > 0 ? std::sqrt(lost2 / total2) : 0, stage.bytes(),
                        seconds_since(start)});
    if (progress) progress(F.stages.back());
    Q->stages.push_back(std::move(stage));
    diagonals.push_back(std::move(projected.diagonal));
    owned = std::move(projected.A);
    A = owned;
    kept2 = next2;
    dropped2 += lost2;
  }
  F.dropped = std::sqrt(dropped2);
  F.H = make_core(A);
  for (auto level = diagonals.rbegin(); level != diagonals.rend(); ++level)
    F.H.diagonal.insert(F.H.diagonal.end(), level->begin(), level->end());
  F.Q = std::move(Q);
  return F;
}

template <class T>
CoreDiagonal<T> project(const CsrView<T>& matrix, const Hierarchy<T>& Q,
                        const std::vector<T>& scale) {
  Csr<T> owned;
  CsrView<T> A = input_of(Q, matrix, scale, owned);
  std::vector<std::vector<T>> diagonals;
  for (const auto& stage : Q.stages) {
    auto [next, diag] =
        project_stage(A, stage, &stage == &Q.stages.front() ? Q.order.data() : nullptr);
    diagonals.push_back(std::move(diag));
    A = owned = std::move(next);
  }
  CoreDiagonal<T> H = make_core(A);
  for (auto level = diagonals.rbegin(); level != diagonals.rend(); ++level)
    H.diagonal.insert(H.diagonal.end(), level->begin(), level->end());
  return H;
}

template <class T>
double error(const CsrView<T>& matrix, const Hierarchy<T>& Q, const CoreDiagonal<T>& H,
             const std::vector<T>& scale, double* relative_to) {
  Csr<T> owned;
  CsrView<T> A = input_of(Q, matrix, scale, owned);
  *relative_to = std::sqrt(norm2(A));
  double sum = 0;
  for (const auto& stage : Q.stages) {
    const Index* members = &stage == &Q.stages.front() ? Q.order.data() : nullptr;
    const Csr<T> functions = stage_functions(stage, members, 0, stage.rows);
    const Csr<T> B = galerkin(A, functions.view());  // Q_p A Q_p^T, active part first
    Csr<T> active{stage.kept, stage.kept, {0}, {}, {}};
    for (Index i = 0; i < stage.rows; ++i) {
      for (Index p = B.indptr[i]; p < B.indptr[i + 1]; ++p) {
        const Index j = B.indices[p];
        if (i < stage.kept && j < stage.kept) {
          active.indices.push_back(j);
          active.data.push_back(B.data[p]);
        } else {
          const double d = B.data[p] - (i == j ? H.diagonal[i - H.core_size] : T(0));
          sum += d * d;
        }
      }
      if (i < stage.kept) active.indptr.push_back(static_cast<Index>(active.indices.size()));
    }
    A = owned = std::move(active);
  }
  std::vector<T> row(H.core_size);
  for (Index i = 0; i < H.core_size; ++i) {
    if (H.is_dense()) {
      const T* core = &H.core[static_cast<std::size_t>(i) * H.core_size];
      row.assign(core, core + H.core_size);
    } else {
      row.assign(H.core_size, T(0));
      for (Index p = H.sparse_core.indptr[i]; p < H.sparse_core.indptr[i + 1]; ++p)
        row[H.sparse_core.indices[p]] = H.sparse_core.data[p];
    }
    for (Index p = A.indptr[i]; p < A.indptr[i + 1]; ++p) row[A.indices[p]] -= A.data[p];
    sum += squares(row);
  }
  return std::sqrt(sum);
}

template <class T>
double trace(const Hierarchy<T>& Q, const CoreDiagonal<T>& H, const std::vector<T>& scale) {
  if (scale.empty()) return H.trace();
  // trace(D Q^T H Q D) = <Q D^2 Q^T, H>.
  Csr<T> D2{Q.rows, Q.rows, {}, {}, {}};
  for (Index i = 0; i <= Q.rows; ++i) D2.indptr.push_back(i);
  for (Index i = 0; i < Q.rows; ++i) {
    D2.indices.push_back(i);
    D2.data.push_back(scale[i] * scale[i]);
  }
  const CoreDiagonal<T> K = project(D2.view(), Q, {});
  double sum = 0;
  const auto at = [](const CoreDiagonal<T>& M, Index i, Index p) {
    return M.core[static_cast<std::size_t>(i) * M.core_size + p];
  };
  require(K.is_dense() && H.is_dense(),
          "the trace of a prenormalized factorization needs a dense core");
  for (Index i = 0; i < H.core_size; ++i)
    for (Index j = 0; j < H.core_size; ++j) sum += static_cast<double>(at(H, i, j)) * at(K, i, j);
  for (std::size_t i = 0; i < H.diagonal.size(); ++i)
    sum += static_cast<double>(H.diagonal[i]) * K.diagonal[i];
  return sum;
}

#define PYMPF_INSTANTIATE(T)                                                                       \
  template Factorization<T> factorize(const CsrView<T>&, const Params&, const Progress&);          \
  template CoreDiagonal<T> project(const CsrView<T>&, const Hierarchy<T>&, const std::vector<T>&); \
  template double error(const CsrView<T>&, const Hierarchy<T>&, const CoreDiagonal<T>&,            \
                        const std::vector<T>&, double*);                                           \
  template double trace(const Hierarchy<T>&, const CoreDiagonal<T>&, const std::vector<T>&);
PYMPF_INSTANTIATE(double)
PYMPF_INSTANTIATE(float)

}  // namespace pympf::mmf
