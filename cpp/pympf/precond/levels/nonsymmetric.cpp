#include "pympf/precond/levels/nonsymmetric.hpp"

#include <algorithm>
#include <cmath>

#include "pympf/common/pool.hpp"
#include "pympf/la/blas1.hpp"
#include "pympf/la/matching.hpp"
#include "pympf/la/symmetry.hpp"
#include "pympf/precond/probe.hpp"

namespace pympf::precond {
namespace {

// Entries that the searches of an exact matching may look at, for each entry of A.
constexpr Global most_matching_work = 200;

}  // namespace

std::optional<Matched> Matched::of(const CsrView<double>& A) {
  Matching found = maximum_product_matching(A, most_matching_work * A.nnz());
  if (found.size < A.rows || A.rows != A.cols) return {};
  Matched out{std::move(found.row), std::move(found.row_scale), std::move(found.column_scale),
              found.exact};
  for (Index j = 0; j < A.rows; ++j) {
    const Index i = out.row[j];
    const Index *begin = A.indices + A.indptr[i], *end = A.indices + A.indptr[i + 1];
    const Index* at = std::lower_bound(begin, end, j);
    if (A.data[at - A.indices] < 0) out.row_scale[i] = -out.row_scale[i];
  }
  return out;
}

DistRows<double> Matched::apply(const CsrView<double>& A) const {
  Csr<double> B{A.rows, A.cols, {0}, {}, {}};
  for (const Index i : row) {
    for (Index p = A.indptr[i]; p < A.indptr[i + 1]; ++p) {
      if (A.data[p] == 0) continue;
      B.indices.push_back(A.indices[p]);
      B.data.push_back(row_scale[i] * A.data[p] * column_scale[A.indices[p]]);
    }
    B.indptr.push_back(static_cast<Index>(B.data.size()));
  }
  DistRows<double> out = with_symmetric_pattern(DistRows<double>(B));
  out.general = true;
  return out;
}

template <class S>
struct Nonsymmetric::Cycles {
  struct Space {
    PetrovSpace<S> cycle;
    std::vector<double> r, z;  // scaled

    explicit Space(const PetrovLevels<S>& levels) : cycle(levels) {}
  };

  PetrovLevels<S> levels;
  mutable Pool<Space> spaces{[this] { return std::make_unique<Space>(levels); }};

  explicit Cycles(PetrovLevels<S>&& from) : levels(std::move(from)) {}
};

template <class Use>
auto Nonsymmetric::with_cycles(const Use& use) const {
  return std::visit([&](const auto& cycles) { return use(*cycles); }, cycles_);
}

Nonsymmetric::Nonsymmetric(const DistRows<double>& A, const NearNullspace& right,
                           const NearNullspace& left, Index block, const Params& params,
                           Recipe recipe, Report& report)
    : recipe_(std::move(recipe)), rows_(A.own()) {
  recipe_.rules.factor_backend = find_field(fields(), "factor_backend").text(params);
  const auto make = [&]<class S>(S) {
    const DistRows<double> matrix = working(A);
    cycles_ = std::make_unique<Cycles<S>>(
        build_petrov<S>(matrix, right, left, block, params, recipe_.rules, report));
  };
  recipe_.single ? make(float()) : make(double());
  tell(report);
}

Nonsymmetric::~Nonsymmetric() = default;

void Nonsymmetric::refresh(const DistRows<double>& A, Report& report) {
  std::visit(
      [&](auto& cycles) { refresh_petrov(working(A), recipe_.rules, cycles->levels, report); },
      cycles_);
  tell(report);
}

DistRows<double> Nonsymmetric::working(const DistRows<double>& A) const {
  if (recipe_.matched) return recipe_.matched->apply(A.rows);
  if (recipe_.sign > 0) return view_of(A);
  return with_values<double>(A, [&](Index, Index p) { return -A.rows.data[p]; });
}

void Nonsymmetric::tell(Report& report) const {
  double entries = 0, rows = 0;
  for (const LevelReport& line : report.levels) {
    entries += static_cast<double>(line.nnz);
    rows += static_cast<double>(line.rows);
  }
  const LevelReport& first = report.levels.front();
  report.operator_complexity = first.nnz > 0 ? entries / static_cast<double>(first.nnz) : 1;
  report.grid_complexity = first.rows > 0 ? rows / static_cast<double>(first.rows) : 1;
  with_cycles([&](const auto& cycles) {
    const bool has_lu = cycles.levels.lu.has_value();
    report.method = cycles.levels.levels.empty()                ? "direct"
                    : cycles.levels.levels.size() > 1 || has_lu ? "multilevel"
                                                                : "ilut";
    if (report.method == "ilut" && recipe_.rules.smoother.pattern) report.method = "ilu";
    if (!cycles.levels.remedy.empty()) report.reason = cycles.levels.remedy;
  });
}

template <class T>
void Nonsymmetric::apply(bool transposed, const T* r, T* z) const {
  with_cycles([&](const auto& cycles) {
    typename std::decay_t<decltype(cycles.spaces)>::Lease space(cycles.spaces);
    if (!recipe_.matched) {
      precond::apply(cycles.levels, transposed, r, z, space->cycle);
      if (recipe_.sign < 0) scale(rows_, -1, z, z);
      return;
    }
    const Matched& m = *recipe_.matched;
    space->r.resize(rows_), space->z.resize(rows_);
    for (Index i = 0; i < rows_; ++i)
      space->r[i] = transposed ? m.column_scale[i] * r[i] : m.row_scale[m.row[i]] * r[m.row[i]];
    precond::apply(cycles.levels, transposed, space->r.data(), space->z.data(), space->cycle);
    for (Index i = 0; i < rows_; ++i)
      if (transposed)
        z[m.row[i]] = static_cast<T>(m.row_scale[m.row[i]] * space->z[i]);
      else
        z[i] = static_cast<T>(m.column_scale[i] * space->z[i]);
  });
}

double Nonsymmetric::multiply_adds() const {
  return with_cycles([](const auto& cycles) { return precond::multiply_adds(cycles.levels); });
}
bool Nonsymmetric::is_singular() const {
  return with_cycles([](const auto& cycles) { return cycles.levels.is_singular; });
}
bool Nonsymmetric::is_unstable() const {
  return with_cycles([](const auto& cycles) { return cycles.levels.is_unstable; });
}
double Nonsymmetric::lu_work() const {
  return with_cycles([](const auto& cycles) { return cycles.levels.lu_work; });
}

double Nonsymmetric::amplification(const DistRows<double>& A) const {
  const std::vector<double> d = recipe_.matched ? std::vector<double>(rows_, 1.0) : diagonal(A);
  return with_cycles([&](const auto& cycles) {
    typename std::decay_t<decltype(cycles.spaces)>::Lease space(cycles.spaces);
    const Communicator& comm = cycles.levels.comm;
    const auto first = comm.sum_before(Global{rows_});
    std::vector<double> r(rows_), z(rows_);
    for (Index i = 0; i < rows_; ++i) z[i] = probing::sign(first + i);
    double most = 0;
    for (int step = 0; step < 2; ++step) {
      const double length = norm(comm, rows_, z.data());
      if (!(length > 0) || !std::isfinite(length)) break;
      for (Index i = 0; i < rows_; ++i) r[i] = d[i] * z[i] / length;
      precond::apply(cycles.levels, false, r.data(), z.data(), space->cycle);
      most = std::max(most, norm(comm, rows_, z.data()));
    }
    return most;
  });
}

template void Nonsymmetric::apply(bool, const float*, float*) const;
template void Nonsymmetric::apply(bool, const double*, double*) const;

}  // namespace pympf::precond
