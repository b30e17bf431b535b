#include "view.hpp"

#include <iomanip>
#include <sstream>

#include "errors.hpp"
#include "options.hpp"

namespace pympf {
namespace {

using Factorization = mmf::Mmf<PetscScalar>;

// Of all ranks.
double megabytes(const Communicator& comm, std::size_t bytes) {
  return static_cast<double>(comm.sum(static_cast<Global>(bytes))) / 1e6;
}

void write_params(std::ostream& out, const PcMmf& mmf) {
  out << "parameters:";
  bool any = false;
  for (const auto& option : options())
    if (option.is_given(mmf)) {
      out << " " << option.name << "=" << option.text(mmf);
      any = true;
    }
  out << (any ? " (the others at their defaults)\n" : " all at their defaults\n");
}

template <class L>
void write_table(std::ostream& out, const std::vector<Column<L>>& columns,
                 const std::vector<L>& lines) {
  constexpr int width = 11;
  if (lines.empty()) return;
  for (const auto& c : columns)
    if (c.is_shown()) out << std::setw(width) << c.head();
  out << "\n";
  for (const L& line : lines) {
    for (const auto& c : columns)
      if (c.is_shown()) out << std::setw(width) << c.text(line);
    out << "\n";
  }
}

void write_levels(std::ostream& out, const PcMmf& mmf, const Preconditioner& M) {
  if (const auto F = M.factorization())
    return write_table(out, mmf::columns(), F->factors().stages);
  std::vector<precond::LevelReport> levels = M.report().levels;
  for (auto& level : levels)  // those of this rank become those of all
    level.bytes = static_cast<std::size_t>(mmf.comm.sum(static_cast<Global>(level.bytes)));
  write_table(out, precond::columns(), levels);
}

void write_levels(std::ostream&, const PcMmf&, Nothing) {}

void write_reused(std::ostream& out, const PcMmf& mmf) {
  out << "rotations reused: " << mmf.reused << " times since they were computed\n";
}

void write_bytes(std::ostream& out, const PcMmf& mmf, std::size_t bytes) {
  out << std::fixed << std::setprecision(2) << megabytes(mmf.comm, bytes) << " MB";
  if (mmf.comm.size() > 1) out << " on " << mmf.comm.size() << " ranks";
}

void write_factors(std::ostream& out, const PcMmf& mmf, const Factorization& F) {
  const auto& factors = F.factors();
  out << factors.stages.size() << " levels, core of " << mmf.comm.sum(Global{F.core_size()})
      << " rows, stopped by " << mmf::name(factors.stop) << "\n";
  out << "relative Frobenius error " << std::setprecision(3)
      << (factors.norm > 0 ? factors.dropped / factors.norm : 0.0) << ", ";
  // The inverse shares the rotations.
  write_bytes(out, mmf, 2 * F.bytes() - factors.Q->bytes());
  out << "\n";
  write_reused(out, mmf);
}

void write_summary(std::ostream& out, const PcMmf& mmf, const Preconditioner& M) {
  if (const auto F = M.factorization()) return write_factors(out, mmf, *F);
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
