#include "pympf/mmf/params.hpp"

namespace pympf::mmf {

namespace {

constexpr double big = 2147483647;

std::vector<Field<Params>> fields_of_stages() {
  return {
      field("order", &Params::order, 2, 16,
            "Order k of the rotations: columns that one rotation mixes."),
      field("max_stages", &Params::max_stages, 0, 1000, "Most stages (P)."),
      field("rotation_fraction", &Params::rotation_fraction, 0.001, 1,
            "Fraction (eta) of the columns of each cluster that retire in a stage: eta * c / "
            "eliminate rotations."),
      field("eliminate", &Params::eliminate, 1, 15,
            "Columns that retire after each rotation; below order."),
      field("core_size", &Params::core_size, 1, big, "Stop when this many columns are active."),
      field("tolerance", &Params::tolerance, 0, 1,
            "Keep the relative Frobenius error below this, and stop when nothing more may retire; "
            "0: no bound."),
      field("prenormalize", &Params::prenormalize, 0, 1,
            "Factor D A D with d_i = 1 / sqrt(norm of column i) and scale back around the "
            "factorization."),
      field("criterion", &Params::criterion,
            {"inner_product", "normalized_inner_product", "residual"},
            "Choice of the partners of column i: largest |<U_i, U_j>|, largest |<U_i, U_j>| / "
            "||U_j||, or "
            "smallest loss after the rotation."),
      field("selection", &Params::selection, {"best", "random"},
            "Order in which columns look for partners: by the loss of their best partner, or at "
            "random; each has its turn "
            "before one has a second."),
      field("retire", &Params::retire, {"relative", "absolute", "auto"},
            "Which rotated row retires: least off-diagonal norm relative to its diagonal entry "
            "(keeps what is smooth, for preconditioning), or least off-diagonal norm. 'auto': "
            "relative, unless it would drop a tenth of the squares of the matrix more in the "
            "first stage and the diagonal is positive, as with smooth kernels; the report says "
            "which."),
      field("gram", &Params::gram, {"columns", "blocks"},
            "Inner products over whole columns, or over the cluster's diagonal block only."),
  };
}

std::vector<Field<Params>> fields_of_clusters() {
  return {
      field("hub_factor", &Params::hub_factor, 1, 1e9,
            "A row k of more than m = max(32, hub_factor * mean) entries adds a_ki a_kj to the "
            "Gram matrix only "
            "for entries i, j at most m / 2 apart in the row, and for i = k: at most m * nnz "
            "products in all."),
      field("clustering", &Params::clustering, {"graph", "inner_product"},
            "Clusters grown along the graph of the matrix, or around random anchors by inner "
            "product."),
      field("clusters", &Params::clusters, 0, big,
            "Number of clusters; 0: as many as max_cluster_size asks for."),
      field("min_cluster_size", &Params::min_cluster_size, 1, big,
            "Columns of smaller clusters are bypassed or join another one."),
      field("max_cluster_size", &Params::max_cluster_size, 2, big, "Larger clusters are split."),
      field("max_clustering_depth", &Params::max_clustering_depth, 1, 64,
            "Deepest recursive splitting of a cluster around new anchors before it is cut."),
      field("max_clustering_iterations", &Params::max_clustering_iterations, 1, 1000,
            "Most rounds of drawing new anchors among the columns that no anchor has reached."),
      field("bypass", &Params::bypass, 0, 1,
            "Columns that no cluster took sit out the stage; otherwise they are put into clusters "
            "in order."),
      field("seed", &Params::seed, 0, big, "Seed of the random numbers."),
      field("rows_per_rank", &Params::rows_per_rank, 1, big,
            "On several ranks: with fewer active columns for each, a stage moves to fewer ranks."),
  };
}

}  // namespace

const std::vector<Field<Params>>& fields() {
  static const std::vector<Field<Params>> list = joined(fields_of_stages(), fields_of_clusters());
  return list;
}

void check(const Params& params) {
  for (const auto& f : fields()) {
    Params copy;
    f.set(copy, f.get(params));
  }
  require(params.eliminate < params.order, "eliminate = ", params.eliminate,
          " is not below order = ", params.order,
          ": a rotation must leave at least one column active");
  require(params.min_cluster_size <= params.max_cluster_size,
          "min_cluster_size = ", params.min_cluster_size,
          " is above max_cluster_size = ", params.max_cluster_size);
}

}  // namespace pympf::mmf
