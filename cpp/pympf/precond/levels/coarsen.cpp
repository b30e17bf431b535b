#include "pympf/precond/levels/coarsen.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "pympf/la/product.hpp"
#include "pympf/la/radius.hpp"
#include "pympf/la/sparse.hpp"

namespace pympf::precond {
namespace {

// Contraction that hardly shrinks the graph (expanders): lifting would fill in.
constexpr double expander = 0.6;
// A stage must remove a fifth of the rows.
constexpr double least_reduction = 0.8;
// Multiply-adds of a product with lifted functions, over nnz.
constexpr double most_work = 15;
// With twice the truncation each, while work and entries are at most so many times too many.
constexpr int lift_attempts = 3;
constexpr int near_miss = 2;

// Multiply-adds of A P: column k of A meets row k of P, and A is symmetric.
double product_work(const Stage& stage, const CsrView<double>& P) {
  const Csr<double>& A = stage.A;
  double sum = 0;
  for (Index k = 0; k < A.rows; ++k)
    sum += static_cast<double>(A.indptr[k + 1] - A.indptr[k]) * (P.indptr[k + 1] - P.indptr[k]);
  return stage.border.comm.sum(sum);
}

// Puts the rows of the next stage into the order of its strips.
void reorder(Next& next, const Params& params) {
  Stage& stage = next.stage;
  const int strips = stage.border.alone() ? params.strips : 1;
  stage.domains = cut(stage.A, natural_order(stage.A.rows), stage.block, strips);
  if (stage.domains.count() == 1) return;
  const auto& order = stage.domains.order;
  stage.A = permuted(stage.A, order);
  permute_rows(stage.B.values, order, stage.B.vectors);
  std::vector<Index> nodes(stage.nodes()), position(order.size());
  for (Index i = 0; i < stage.nodes(); ++i) nodes[i] = order[i * stage.block] / stage.block;
  stage.W = permuted(stage.W, nodes);
  for (std::size_t i = 0; i < order.size(); ++i) position[order[i]] = static_cast<Index>(i);
  for (Index& j : next.P.indices) j = position[j];
  next.R = transpose(next.P.view());
}

// Largest eigenvalue of D^-1 A.
double largest_eigenvalue(const Stage& stage) {
  std::vector<double> inverse = diagonal(stage.A.view());
  for (double& d : inverse) d = d > 0 ? 1 / d : 0;
  return spectral_radius(stage.border.comm, inverse,
                         [&](const double* x, double* y) { stage.border.multiply(stage.A, x, y); });
}

// Gives the rows to the ranks of `to`.
void move(Stage& stage, const Layout& to) {
  const Border from = stage.border;
  const Index m = stage.B.vectors;
  const auto A = moved_rows(from, to, stage.A), W = moved_rows(from, to, stage.W, stage.block);
  stage.border = border_of(from.comm, to, A.indices, W.indices, stage.block);
  stage.A = localized(stage.border, A);
  stage.W = localized(stage.border, W, stage.block);
  std::vector<Global> targets(from.layout.own());
  std::iota(targets.begin(), targets.end(), from.layout.first());
  std::vector<double> B(static_cast<std::size_t>(to.own()) * m);
  ExchangeSpace<double> space;
  Exchange::moves(from.comm, to, targets).forward(stage.B.values.data(), B.data(), m, space);
  stage.border.share(B, m);
  stage.B.values = std::move(B);
}

// Completes the next stage on several ranks: gives it to fewer if it is small, and takes P apart.
void settle(const Params& params, Next& next) {
  Stage& stage = next.stage;
  const Border made = stage.border;
  const Layout to = next_layout(made.layout, params.rows_per_rank);
  const bool stays = to.starts == made.layout.starts;
  next.P_off = split(made, to, next.P);
  if (stays) return;
  move(stage, to);
  next.R = transpose(next.P.view());
}

// Makes `next` of `stage`.
class Coarsening {
 public:
  Coarsening(const Stage& stage, const Params& params, Global left, Next& next)
      : stage_(stage), params_(params), left_(left), next_(next) {}

  bool run(double theta) {
    const Index m = stage_.B.vectors;
    Clustering& clusters = next_.clusters;
    clusters = cluster(stage_.W, params_.shape, theta, params_.cluster_size);
    coarse_rows_ = border_.comm.sum(Global{clusters.count} * m);
    if (coarse_rows_ > least_reduction * stage_.rows()) return false;
    Q_ = rotate(stage_.B, clusters, stage_.block);
    known_ = reach(border_, stage_.block, clusters);
    share(border_, known_, Q_);
    const auto known_clusters = clusters.count + static_cast<Index>(known_.ghosts.size());
    Graph W = contract(stage_.W, clusters, known_clusters);
    if (params_.lift && !expands(W)) lift();
    if (!next_.lifted) {
      next_.P = prolongation(Q_, clusters, stage_.block, stage_.A.rows);
      if (!project_within(coarse_rows_ > 2500 ? std::min(left_, entries_) : left_)) return false;
    }
    finish(std::move(W));
    return true;
  }

 private:
  bool expands(const Graph& W) const {
    return border_.comm.sum(Global{W.nnz()}) >
           expander * static_cast<double>(border_.comm.sum(Global{stage_.W.nnz()}));
  }

  // P^T A P, when it has at most so many entries.
  bool project_within(Global most) {
    auto product = project(border_, stage_.A, known_, stage_.B.vectors, most, next_.P);
    if (!product) return false;
    next_.stage.border = std::move(product->border);
    next_.stage.A = std::move(product->A);
    next_.R = std::move(product->R);
    return true;
  }

  // Lifted functions that would fill in a little are truncated more; if much, they stay unlifted.
  void lift() {
    const Global rows = stage_.rows();
    const auto fewer =
        static_cast<Global>(rows <= 1000 ? left_ : std::min(left_, entries_ * 9 / 10));
    const bool several = stage_.B.vectors > 1 || stage_.block > 1;
    const double radius = several ? largest_eigenvalue(stage_) : 0;
    Params lifting = params_;
    for (int attempt = 0; attempt < lift_attempts && !next_.lifted; ++attempt) {
      next_.P = lifted_prolongation(stage_.A, stage_.B, Q_, next_.clusters, stage_.block, lifting,
                                    radius);
      const double work =
          product_work(stage_, next_.P) / (most_work * static_cast<double>(entries_));
      if (work > near_miss) break;
      if (work <= 1) {
        if (!project_within(near_miss * fewer)) break;
        next_.lifted = next_.stage.nnz() <= fewer;
      }
      const double more = std::min(2 * lifting.truncation, 0.5);
      if (more <= lifting.truncation) break;
      lifting.truncation = more;
    }
  }

  void finish(Graph W) {
    const Index m = stage_.B.vectors;
    Stage& to = next_.stage;
    to.block = m;
    next_.known = clusters_known_to(known_, to.border, m);
    renumber(known_, next_.known, W);
    to.W = std::move(W);
    to.B = std::move(Q_.coarse);
    to.B.values.resize(static_cast<std::size_t>(next_.clusters.count) * m * m);
    to.border.share(to.B.values, m);
    if (!border_.alone()) {
      next_.unrounded_P = next_.P;
      settle(params_, next_);
    }
    reorder(next_, params_);
  }

  const Stage& stage_;
  const Params& params_;
  const Global left_;
  Next& next_;
  const Border& border_ = stage_.border;
  const Global entries_ = stage_.nnz();
  Global coarse_rows_ = 0;
  Rotated Q_;
  Border known_;
};

}  // namespace

bool coarsen(const Stage& stage, const Params& params, int level, Global left, Next& next) {
  const double theta = params.strength * std::pow(params.strength_decay, level - 1);
  return Coarsening(stage, params, left, next).run(theta);
}

}  // namespace pympf::precond
