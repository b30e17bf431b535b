#include "pympf/mmf/find_stage.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "pympf/la/sparse.hpp"
#include "pympf/mmf/rotation.hpp"

namespace pympf::mmf {

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

// What a rank must know of the clusters of all.
struct Census {
  Global rows = 0, nnz = 0;
  Global clusters_before = 0, clustered_before = 0, clustered = 0;
};

template <class T>
Census count(const DistRows<T>& A, const Clusters& clusters) {
  const Global in_clusters = clusters.ptr.back();
  return {A.layout.total(), A.nnz(), A.comm.sum_before(Global{clusters.count()}),
          A.comm.sum_before(in_clusters), A.comm.sum(in_clusters)};
}

// What the clusters of a stage may drop together (see Limits).
struct Budget {
  double squares;
  bool certain;
};

// Shares out, in proportion to the sizes of the clusters, how many columns may retire before
// core_size is reached and how much they may drop.
std::vector<Limits> share_limits(const Clusters& clusters, const Census& census, Index core_size,
                                 const Budget& may_drop) {
  const Global budget = census.rows - core_size,
               in_clusters = std::max<Global>(1, census.clustered);
  std::vector<Limits> limits(clusters.count());
  for (Index u = 0; u < clusters.count(); ++u) {
    const auto share = [&](Global columns) {
      return budget * (census.clustered_before + columns) / in_clusters;
    };
    const Global retire = share(clusters.ptr[u + 1]) - share(clusters.ptr[u]);
    limits[u] = {static_cast<Index>(std::min<Global>(retire, clusters.size(u))),
                 may_drop.squares * clusters.size(u) / static_cast<double>(in_clusters),
                 may_drop.certain};
  }
  return limits;
}

// About what the Gram matrices cost, in products: one for each pair of entries of a row of A.
template <class T>
std::size_t gram_work(const CsrView<T>& A) {
  const std::size_t rows = A.rows, nnz = A.nnz();
  return rows > 0 ? nnz * nnz / rows : 0;
}

// The rotations of all clusters of this rank.
template <class T>
std::vector<RotationList> find_all_rotations(const CsrView<T>& A, const Clusters& clusters,
                                             const Census& census, const Params& params, int level,
                                             const Budget& may_drop) {
  const std::vector<T> diag = diagonal(A);
  const Index hub = hub_limit(census.rows, census.nnz, params);
  const auto limits = share_limits(clusters, census, params.core_size, may_drop);
  std::vector<Index> position(A.rows, -1);
  for (std::size_t i = 0; i < clusters.members.size(); ++i)
    position[clusters.members[i]] = static_cast<Index>(i);
  std::vector<RotationList> found(clusters.count());
  parallel_with(clusters.count(), Index{1}, worth_threads(gram_work(A)), [&] {
    return [&, gram = ClusterGram()](Index u) mutable {
      const Index first = clusters.ptr[u];
      gram.build(A, diag.data(), position, &clusters.members[first], first, clusters.size(u), hub,
                 params.gram);
      const auto stream = static_cast<std::uint32_t>(census.clusters_before + u);
      find_rotations(gram, params, Random(params.seed, level, stream), limits[u], found[u]);
    };
  });
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

// The squares that a stage drops: with r_w = A w - (w^T A w) w for its wavelets, 2 sum ||r_w||^2,
// less what the sum has twice, the entries between two wavelets. Collective.
template <class T>
double squares_dropped(const DistRows<T>& A, const Extended<T>& extended, const Stage<T>& stage,
                       const Index* members) {
  Csr<T> wavelets = stage_functions(stage, members, stage.kept, stage.rows);
  wavelets.cols = extended.A.cols;
  const Layout layout(A.comm, wavelets.rows);
  const auto number = numbers_from(layout.first(), wavelets.rows);
  const auto [B, columns] = congruence(A, extended, wavelets, number);
  double between = 0, rows = 0;
  for (double square : residual_squares(extended.A, wavelets.view())) rows += square;
  for (Index i = 0; i < B.rows; ++i)
    for (Index p = B.indptr[i]; p < B.indptr[i + 1]; ++p)
      if ((columns.empty() ? B.indices[p] : columns[B.indices[p]]) != number[i])
        between += static_cast<double>(B.data[p]) * B.data[p];
  rows = A.comm.sum(rows);
  return std::max(rows, 2 * rows - A.comm.sum(between));
}

// Which rows shall retire, by the pairs of the first stage. Of a Laplacian's pair both rows drop
// about the same. Of a smooth kernel's, the sum has nearly all of the norm and its tangent off /
// |h| is the smaller one, so that `relative` throws away what matters most. (Of an indefinite
// matrix `absolute` may make H singular, hence the look at the diagonal.) Collective.
template <class T>
Retire fitting_rule(const DistRows<T>& A, const std::vector<RotationList>& found, double total2) {
  double excess2 = 0, least = infinity;
  for (const auto& list : found) excess2 += list.excess2;
  for (T d : diagonal(A)) least = std::min<double>(least, d);
  if (A.comm.min(least) <= 0) return Retire::relative;
  return A.comm.sum(excess2) > 0.1 * total2 ? Retire::absolute : Retire::relative;
}

// By Pythagoras; where that difference is near the rounding of the norms, summed up by themselves.
// Collective.
template <class T>
Squares squares_after(double before, const Projected<T>& projected, const DistRows<T>& A,
                      const Extended<T>& extended, const Stage<T>& stage, const Index* members) {
  constexpr double near_rounding = 1e4 * std::numeric_limits<T>::epsilon();
  const double next = A.comm.sum(norm2(projected.A.rows));
  const double lost = before - next - A.comm.sum(sum_of_squares(projected.diagonal));
  if (lost > near_rounding * before) return {next, lost};
  return {next, squares_dropped(A, extended, stage, members)};
}

// The members as columns of the extended matrix.
Clusters shifted(Clusters clusters, Index shift) {
  for (Index& member : clusters.members) member += shift;
  return clusters;
}

// The clusters of the own columns, numbered on this rank.
template <class T>
Clusters find_clusters(const DistRows<T>& A, Params params, int level, const Labels& labels) {
  if (!labels.empty()) return runs(labels.front());
  if (A.comm.size() == 1) return cluster(A.rows, params, level);
  if (A.own() == 0) return {};
  params.clusters = static_cast<int>(Global{params.clusters} * A.own() / A.layout.total());
  return cluster(diagonal_block(A).view(), params, level);
}

template <class T>
FoundStage<T> try_stage(const DistRows<T>& A, const Params& params, int level, const Labels& labels,
                        const Account& account, const Budget& budget) {
  FoundStage<T> out;
  out.retire = params.retire;
  out.clusters = find_clusters(A, params, level, labels);
  const Census census = count(A, out.clusters);
  const auto extended = extend(A, hub_limit(census.rows, census.nnz, params));
  const Clusters columns = shifted(out.clusters, extended.shift);
  const auto find = [&](const Budget& may_drop) {
    Params with = params;
    with.retire = out.retire;
    return find_all_rotations(extended.A, columns, census, with, level, may_drop);
  };
  const bool open = params.retire == Retire::automatic;
  auto found = find(open ? Budget{infinity, false} : budget);
  if (open) {
    out.retire = fitting_rule(A, found, account.total);
    if (params.tolerance > 0 || out.retire == Retire::absolute) found = find(budget);
  }
  out.stage = assemble<T>(found, out.clusters, A.own());
  out.retired = A.comm.sum(Global{out.stage.rows} - out.stage.kept);
  if (out.retired == 0) return out;
  const Clusters arranged = shifted(out.clusters, extended.shift);
  const Index* members = arranged.members.data();
  out.projected = project_stage(A, extended, out.stage, members);
  out.squares = squares_after(account.kept, out.projected, A, extended, out.stage, members);
  return out;
}

}  // namespace

template <class T>
FoundStage<T> find_stage(const DistRows<T>& A, Params params, int level, const Labels& labels,
                         const Account& account) {
  const bool bounded = params.tolerance > 0;
  // Half of what the tolerance has left: what is cheap to drop now need not be cheap later. Where
  // the Gram matrix does not see all that a row drops (hubs, blocks, what is below the rounding
  // of its squares), the stage is tried again with less.
  Budget budget{bounded ? 0.5 * (account.allowed - account.dropped) : infinity, false};
  FoundStage<T> out;
  for (int attempt = 0; attempt < 4; ++attempt, budget = {0.25 * budget.squares, true}) {
    out = try_stage(A, params, level, labels, account, budget);
    params.retire = out.retire;
    const bool fits = !bounded || account.dropped + out.squares.lost <= account.allowed;
    if (out.retired == 0 || fits) return out;
    out.retired = 0;  // refused
  }
  return out;
}

template FoundStage<float> find_stage(const DistRows<float>&, Params, int, const Labels&,
                                      const Account&);
template FoundStage<double> find_stage(const DistRows<double>&, Params, int, const Labels&,
                                       const Account&);

}  // namespace pympf::mmf
