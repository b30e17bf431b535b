#include "partition.hpp"

#include <algorithm>
#include <cstdlib>

namespace pympf {
namespace {

// With more threads than one PT-Scotch gives another partition in every run. It has no other switch
// for that; what the user has set stays.
class OneThreadOfScotch {
 public:
  OneThreadOfScotch() : is_mine_(std::getenv(name) == nullptr) {
    if (is_mine_) setenv(name, "1", 1);
  }
  ~OneThreadOfScotch() {
    if (is_mine_) unsetenv(name);
  }

 private:
  static constexpr const char* name = "SCOTCH_PTHREAD_NUMBER";
  bool is_mine_;
};

// The nodes that own nodes are coupled with, themselves left out.
struct Adjacency {
  std::vector<PetscInt> start{0}, node;
};

Adjacency adjacency(const Matrix& A, Index block) {
  Adjacency out;
  for (Index first = 0; first < A.own(); first += block) {
    const auto begin = static_cast<std::ptrdiff_t>(out.node.size());
    for (Index p = A.rows.indptr[first]; p < A.rows.indptr[first + block]; ++p) {
      const Global node = A.column(A.rows.indices[p]) / block;
      if (A.rows.data[p] != 0 && node != (A.layout.first() + first) / block)
        out.node.push_back(static_cast<PetscInt>(node));
    }
    std::sort(out.node.begin() + begin, out.node.end());
    out.node.erase(std::unique(out.node.begin() + begin, out.node.end()), out.node.end());
    out.start.push_back(static_cast<PetscInt>(out.node.size()));
  }
  return out;
}

// A copy that PETSc may free.
PetscErrorCode given_away(const std::vector<PetscInt>& from, PetscInt** to) {
  PetscFunctionBegin;
  PetscCall(PetscMalloc1(from.size(), to));
  std::copy(from.begin(), from.end(), *to);
  PetscFunctionReturn(PetscErrorCode(0));
}

PetscErrorCode make_graph(PC pc, const Matrix& A, Index block, Mat* graph) {
  const Adjacency neighbours = adjacency(A, block);
  PetscInt *start, *node;

  PetscFunctionBegin;
  PetscCall(given_away(neighbours.start, &start));
  PetscCall(given_away(neighbours.node, &node));
  PetscCall(MatCreateMPIAdj(PetscObjectComm((PetscObject)pc), A.own() / block,
                            static_cast<PetscInt>(A.layout.total() / block), start, node, nullptr,
                            graph));
  PetscFunctionReturn(PetscErrorCode(0));
}

PetscErrorCode check_type(PC pc, MatPartitioning partitioning, bool is_asked, bool* is_there) {
  MatPartitioningType type;
  PetscBool does_nothing;

  PetscFunctionBegin;
  PetscCall(MatPartitioningGetType(partitioning, &type));
  PetscCall(PetscStrcmp(type, MATPARTITIONINGCURRENT, &does_nothing));
  *is_there = !does_nothing;
  PetscCheck(!does_nothing || !is_asked, PetscObjectComm((PetscObject)pc), PETSC_ERR_SUP,
             "PC mmf: -pc_mmf_repartition needs a graph partitioner, and this PETSc was built "
             "without one: configure it with --download-ptscotch or --download-parmetis, or name "
             "another by -mat_partitioning_type");
  PetscFunctionReturn(PetscErrorCode(0));
}

}  // namespace

PetscErrorCode find_parts(PC pc, const Matrix& A, Index block, bool is_asked,
                          std::vector<int>* parts) {
  bool is_there;
  MatPartitioning partitioning;
  Mat graph;
  IS ranks;
  const PetscInt* rank;
  const char* prefix;
  const OneThreadOfScotch repeatable;

  PetscFunctionBegin;
  PetscCall(make_graph(pc, A, block, &graph));
  PetscCall(PCGetOptionsPrefix(pc, &prefix));
  PetscCall(MatPartitioningCreate(PetscObjectComm((PetscObject)pc), &partitioning));
  PetscCall(PetscObjectSetOptionsPrefix((PetscObject)partitioning, prefix));
  PetscCall(MatPartitioningSetAdjacency(partitioning, graph));
  PetscCall(MatPartitioningSetFromOptions(partitioning));
  PetscCall(check_type(pc, partitioning, is_asked, &is_there));
  parts->clear();
  if (is_there) {
    PetscCall(MatPartitioningApply(partitioning, &ranks));
    PetscCall(ISGetIndices(ranks, &rank));
    for (Index i = 0; i < A.own(); ++i) parts->push_back(static_cast<int>(rank[i / block]));
    PetscCall(ISRestoreIndices(ranks, &rank));
    PetscCall(ISDestroy(&ranks));
  }
  PetscCall(MatPartitioningDestroy(&partitioning));
  PetscCall(MatDestroy(&graph));
  PetscFunctionReturn(PetscErrorCode(0));
}

}  // namespace pympf
