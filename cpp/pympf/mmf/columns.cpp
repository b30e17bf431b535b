#include "pympf/mmf/factorize.hpp"

namespace pympf::mmf {
namespace {

template <class M>
Column<StageReport> sent(const char* name, M Traffic::*member, const char* doc) {
  return column<StageReport>(
             name, [member](auto& line) -> auto& { return line.traffic.*member; }, doc)
      .else_is(0);
}

}  // namespace

const std::vector<Column<StageReport>>& columns() {
  using S = StageReport;
  static const std::vector<Column<S>> list = {
      column("level", &S::level, "The stage; 1 is the finest.").shown("d"),
      column("rows", &S::rows, "Active rows when it began.").shown("d"),
      column("nnz", &S::nnz, "Entries of the matrix then.").shown("d"),
      column("clusters", &S::clusters, "Clusters of its columns.").shown("d"),
      column("bypassed", &S::bypassed, "Columns that sat it out.").shown("d"),
      column("rotations", &S::rotations, "Rotations that it found.").shown("d"),
      column("retired", &S::retired, "Columns that became wavelets.").shown("d"),
      column("ranks", &S::ranks, "Ranks that held some of the rows.").shown("d").else_is(1),
      column("dropped", &S::dropped, "Norm of what it dropped.")
          .in("of ‖A‖ (Frobenius)")
          .shown(".2e"),
      column("bytes", &S::bytes, "What its rotations take.").in("bytes").shown("d"),
      column("seconds", &S::seconds, "Time on this rank.").in("s").shown(".3f"),
      sent("messages", &Traffic::messages, "Messages of all ranks, point to point."),
      sent("message_bytes", &Traffic::bytes, "What is in them.").in("bytes"),
      sent("collectives", &Traffic::collectives, "Collective calls of a rank."),
  };
  return list;
}

}  // namespace pympf::mmf
