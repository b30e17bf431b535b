#include "view.hpp"

#include <iomanip>
#include <sstream>

#include "errors.hpp"
#include "options.hpp"

namespace pympf {
namespace {

// Of all ranks.
double megabytes(const Communicator& comm, std::size_t bytes) {
  return static_cast<double>(comm.sum(static_cast<Global>(bytes))) / 1e6;
}

void write_params(std::ostream& out, const PcMmf& mmf) {
  std::vector<Field<PcMmf>> list = options().common;
  const auto& rest = options().of(mmf.classic);
  list.insert(list.end(), rest.begin(), rest.end());
  out << "parameters:";
  bool any = false;
  for (const auto& option : list)
    if (option.get(mmf) != option.default_value()) {
      out << " " << option.name << "=" << option.text(mmf);
      any = true;
    }
  out << (any ? " (the others at their defaults)\n" : " all at their defaults\n");
}

constexpr const char* start_of_table = "level  ranks       rows        nnz  clusters";

template <class Line>
void write_start(std::ostream& out, const Line& s) {
  out << std::setw(5) << s.level << std::setw(7) << s.ranks << std::setw(11) << s.rows
      << std::setw(11) << s.nnz << std::setw(10) << s.clusters;
}

void write_levels(std::ostream& out, const PcMmf& mmf, const Multilevel& M) {
  if (M.report().levels.empty()) return;
  out << start_of_table << "  lifted  P per row  factor/nnz         MB    seconds\n";
  for (const auto& s : M.report().levels) {
    write_start(out, s);
    out << std::setw(8) << (s.lifted ? "yes" : "no") << std::fixed << std::setprecision(2)
        << std::setw(11) << s.prolongation << std::setw(12) << s.factor << std::setw(11)
        << megabytes(mmf.comm, s.bytes) << std::setprecision(3) << std::setw(11) << s.seconds
        << std::defaultfloat << "\n";
  }
}

void write_levels(std::ostream& out, const PcMmf& mmf, const Classic& classic) {
  out << start_of_table << "  rotations    retired    dropped         MB    seconds\n";
  for (const auto& s : classic.F.factors().stages) {
    write_start(out, s);
    out << std::setw(11) << s.rotations << std::setw(11) << s.retired << std::scientific
        << std::setprecision(2) << std::setw(11) << s.dropped << std::fixed << std::setw(11)
        << megabytes(mmf.comm, s.bytes) << std::setprecision(3) << std::setw(11) << s.seconds
        << std::defaultfloat << "\n";
  }
}

void write_levels(std::ostream&, const PcMmf&, Nothing) {}

void write_reused(std::ostream& out, const PcMmf& mmf) {
  out << "rotations reused: " << mmf.reused << " times since they were computed\n";
}

void write_bytes(std::ostream& out, const PcMmf& mmf, std::size_t bytes) {
  out << std::fixed << std::setprecision(2) << megabytes(mmf.comm, bytes) << " MB";
  if (mmf.comm.size() > 1) out << " on " << mmf.comm.size() << " ranks";
}

void write_summary(std::ostream& out, const PcMmf& mmf, const Multilevel& M) {
  const precond::Report& report = M.report();
  std::size_t bytes = 0;
  for (const auto& level : report.levels) bytes += level.bytes;
  out << "method " << report.method << (report.reason.empty() ? "" : ": ") << report.reason
      << report.direct_text << report.placement << "\n";
  if (M.params().method == precond::Method::automatic)
    out << "offers, in products with the matrix for one of " << M.params().solves
        << " solves: " << precond::text(report.plan, M.params().solves) << "\n";
  if (!mmf.remark.empty()) out << mmf.remark << "\n";
  if (mmf.is_applied_once && report.method != "multilevel" && M.params().solves < 100 &&
      M.params().method == precond::Method::automatic)
    out << "applied once by the solver around it: for fewer iterations of the outer solver give "
           "-pc_mmf_solves 100, and levels are built\n";
  if (report.levels.empty()) return;
  const auto levels = report.levels.size();
  if (levels > 1) out << "near-nullspace: " << mmf.modes << "\n";
  out << levels << (levels == 1 ? " level" : " levels");
  if (report.coarse_rows > 0 && !report.symmetric)
    out << ", sparse LU of " << report.coarse_rows << " rows";
  else if (report.coarse_rows > 0)
    out << ", dense solve of " << report.coarse_rows << " rows (" << report.coarse_nullity
        << " zero and " << report.coarse_negative << " negative eigenvalues)";
  out << "\n";
  out << "operator complexity " << std::fixed << std::setprecision(2) << report.operator_complexity
      << ", grid complexity " << report.grid_complexity << ", ";
  write_bytes(out, mmf, bytes);
  out << ", " << std::setprecision(3) << report.seconds << " s\n";
  write_reused(out, mmf);
}

void write_summary(std::ostream& out, const PcMmf& mmf, const Classic& classic) {
  const auto& F = classic.F.factors();
  out << F.stages.size() << " levels, core of " << mmf.comm.sum(Global{classic.F.core_size()})
      << " rows, stopped by " << mmf::name(F.stop) << "\n";
  out << "relative Frobenius error " << std::setprecision(3)
      << (F.norm > 0 ? F.dropped / F.norm : 0.0) << ", ";
  write_bytes(out, mmf, classic.F.bytes() + classic.M.bytes() - F.Q->bytes());
  out << "\n";
  write_reused(out, mmf);
}

void write_summary(std::ostream&, const PcMmf&, Nothing) {}

// Collective.
std::string description(const PcMmf& mmf, bool with_levels) {
  std::ostringstream out;
  write_params(out, mmf);
  std::visit(
      [&](const auto& M) {
        if (with_levels) write_levels(out, mmf, M);
        write_summary(out, mmf, M);
      },
      mmf.built);
  return out.str();
}

}  // namespace

PetscErrorCode PCView_MMF(PC pc, PetscViewer viewer) {
  PetscBool is_ascii;
  PetscViewerFormat format;

  PetscFunctionBegin;
  PetscCall(PetscObjectTypeCompare((PetscObject)viewer, PETSCVIEWERASCII, &is_ascii));
  if (!is_ascii) PetscFunctionReturn(PetscErrorCode(0));
  PetscCall(PetscViewerGetFormat(viewer, &format));
  PetscCall(guarded(pc, [&]() -> PetscErrorCode {
    std::istringstream lines(description(data(pc), format != PETSC_VIEWER_ASCII_INFO));
    for (std::string line; std::getline(lines, line);)
      PetscCall(PetscViewerASCIIPrintf(viewer, "  %s\n", line.c_str()));
    return PetscErrorCode(0);
  }));
  PetscFunctionReturn(PetscErrorCode(0));
}

}  // namespace pympf
