#include "pympf/precond/report.hpp"

namespace pympf::precond {

const std::vector<Column<LevelReport>>& columns() {
  using L = LevelReport;
  static const std::vector<Column<L>> list = {
      column("level", &L::level, "The level; 1 is the finest.").shown("d"),
      column("rows", &L::rows, "Rows of its matrix.").shown("d"),
      column("nnz", &L::nnz, "Entries of its matrix.").shown("d"),
      column("clusters", &L::clusters, "Clusters of its rows; 0 on the last level.").shown("d"),
      column("ranks", &L::ranks, "Ranks that hold some of the rows.").shown("d"),
      column("lifted", &L::lifted, "Whether the scaling functions were smoothed.").shown("s"),
      column("prolongation", &L::prolongation, "Entries of the prolongation P.")
          .in("per row")
          .shown(".2f")
          .headed("P per row"),
      column("factor", &L::factor, "Entries of the smoother's factor.")
          .in("of nnz")
          .shown(".2f")
          .headed("factor/nnz"),
      column("bytes", &L::bytes, "What the level takes on this rank.").in("bytes").shown("d"),
      column("seconds", &L::seconds, "Time of its setup on this rank.").in("s").shown(".3f"),
  };
  return list;
}

}  // namespace pympf::precond
