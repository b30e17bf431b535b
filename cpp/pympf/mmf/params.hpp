// Parameters of the factorization: those of the thesis's Figure 2.4 under readable names, and ours.
#pragma once

#include <vector>

#include "pympf/common/field.hpp"

namespace pympf::mmf {

enum class Criterion { inner_product, normalized_inner_product, residual };
enum class Selection { best, random };
enum class Retire { relative, absolute, automatic };
enum class Gram { columns, blocks };
enum class Clustering { graph, inner_product };

struct Params {
  int order = 2;
  int max_stages = 30;
  double rotation_fraction = 0.5;
  int eliminate = 1;
  int core_size = 100;
  double tolerance = 0;
  bool prenormalize = false;
  Criterion criterion = Criterion::residual;
  Selection selection = Selection::best;
  Retire retire = Retire::automatic;
  Gram gram = Gram::columns;
  double hub_factor = 4;
  Clustering clustering = Clustering::graph;
  int clusters = 0;
  int min_cluster_size = 1;
  int max_cluster_size = 2000;
  int max_clustering_depth = 4;
  int max_clustering_iterations = 8;
  bool bypass = true;
  int seed = 0;
  int rows_per_rank = 2048;
};

const std::vector<Field<Params>>& fields();

// Range of every field, and the rules that tie fields together.
void check(const Params& params);

}  // namespace pympf::mmf
