#include "pympf/precond/choice/probes.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <type_traits>

#include "pympf/la/sparse.hpp"
#include "pympf/precond/choice/smooth_look.hpp"
#include "pympf/precond/smoother.hpp"

namespace pympf::precond {
namespace {

// With few rows a factor that drops less is made from the start; with fewer still where the rows
// are short, as there it triples the entries. Once it is there, a few iterations are less than a
// long probe.
constexpr Index few_short_rows = 3000;
constexpr int steps_on_few_rows = 6;
constexpr double little_sum = 1e-4;  // of a row, to the diagonal
// Entries of a row of structural matrices, at least, and of networks, at most.
constexpr Global long_rows = 15, short_rows = 4;
// A sum above this part of that of its terms is none of rounding errors, in float32 neither.
constexpr double not_rounding = 1e-6;
// Two steps find a negative eigenvalue of a shifted Laplacian on 46^3 cells, four on 22^3.
constexpr int steps_from_constant = 8;

// Who asks for a size of the dense solve wants a hierarchy for few iterations, not for its time.
// Over ranks, whose couplings the factor has not, its iterations would grow with the ranks.
bool wants_hierarchy(const Communicator& comm, const Params& params) {
  return params.coarse_size > 0 || comm.size() > 1 || params.solves >= many_solves;
}

// Sum of |row sum| over the trace: rounding for a Laplacian, little for one that is shifted a
// little.
template <class T>
double relative_row_sums(const CsrView<T>& A) {
  double sums = 0, trace = 0;
  for (Index i = 0; i < A.rows; ++i) {
    double sum = 0;
    for (Index p = A.indptr[i]; p < A.indptr[i + 1]; ++p) {
      sum += A.data[p];
      if (A.indices[p] == i) trace += std::abs(A.data[p]);
    }
    sums += std::abs(sum);
  }
  return trace > 0 ? sums / trace : 0;
}

template <class T>
constexpr double no_sum = 100 * std::numeric_limits<T>::epsilon();

// The parts of a matrix that each have a vector of the nullspace. One that is only near it costs CG
// an iteration, and the probe must see it. Over several ranks they are not looked for.
template <class T>
Parts floating_parts(const Communicator& comm, const CsrView<T>& A) {
  if (comm.size() > 1 || relative_row_sums(A) > no_sum<T>) return {};
  Parts out{0, std::vector<Index>(A.rows, -1)};
  std::vector<Index> reached;
  for (Index root = 0; root < A.rows; ++root) {
    if (out.label[root] >= 0) continue;
    const Index part = out.count++;
    out.label[root] = part;
    for (reached.assign(1, root); !reached.empty();) {
      const Index i = reached.back();
      reached.pop_back();
      for (Index p = A.indptr[i]; p < A.indptr[i + 1]; ++p)
        if (const Index j = A.indices[p]; out.label[j] < 0 && A.data[p] != 0) {
          out.label[j] = part;
          reached.push_back(j);
        }
    }
  }
  return out;
}

// Iterations of CG with the factor of the first level; none when they look like more than `most`.
template <class T>
std::optional<int> predict_factor_iterations(const std::vector<T>& side, const Border& border,
                                             const Level<T>& level, const Params& params, int most,
                                             int longest) {
  std::vector<T> work(2 * static_cast<std::size_t>(level.rows()));
  return predict_iterations(
      border.comm, side, most, [&](const T* x, T* y) { spmv(level.A.view(), level.A_off, x, y); },
      [&](const T* r, T* z) { smooth_from_zero(level, params, r, z, work.data()); }, longest);
}

std::string few_iterations(const char* what, int iterations) {
  return concat(what, " alone needs about ", iterations, " iterations to 1e-8 by a probe");
}

// No entry off the diagonal is positive, no row sum negative.
bool is_m_matrix(const CsrView<double>& A) {
  const auto fits = [&](Index i) {
    constexpr double rounding = 1e-13;
    double sum = 0, size = 0;
    for (Index p = A.indptr[i]; p < A.indptr[i + 1]; ++p) {
      if (A.indices[p] != i && A.data[p] > 0) return false;
      sum += A.data[p];
      size += std::abs(A.data[p]);
    }
    return sum >= -rounding * size;
  };
  Index i = 0;
  while (i < A.rows && fits(i)) ++i;
  return i == A.rows;
}

}  // namespace

bool may_choose(const Params& params) {
  return params.method == Method::automatic && params.max_levels > 1 &&
         params.cycle != CycleKind::additive &&
         params.smoother == SmootherKind::incomplete_cholesky;
}

Index coarse_size(Global nnz, const Params& params) {
  if (params.coarse_size > 0) return params.coarse_size;
  return std::max<Index>(64, static_cast<Index>(std::cbrt(20.0 * static_cast<double>(nnz))));
}

template <class T>
std::optional<int> steps_with_diagonal(const DistRows<T>& A, const std::vector<T>& diagonal,
                                       const NearNullspace& near_nullspace, int most, int longest) {
  std::vector<T> inverse = diagonal;
  const bool negative = std::any_of(inverse.begin(), inverse.end(), [](T d) { return d < 0; });
  if (A.comm.max(Global{negative}) > 0) return {};
  RowProduct<T> multiply(A);
  const auto constants = [&](Index i) {
    return near_nullspace.values.empty() ? 1 : near_nullspace.sum(i);
  };
  auto side = probe_side<T>(
      A.comm, A.own(), [&](Index i) { return double{inverse[i]}; }, constants);
  for (T& d : inverse) d = d > 0 ? 1 / d : T(0);
  return predict_iterations(
      A.comm, std::move(side), most, [&](const T* x, T* y) { multiply(x, y); },
      [&](const T* r, T* z) {
        for_chunks(inverse.size(), [&](std::size_t, std::size_t begin, std::size_t end) {
          for (std::size_t i = begin; i < end; ++i) z[i] = inverse[i] * r[i];
        });
      },
      longest);
}

// The order of minimum degree takes up to a quarter of the time of a hierarchy. It is worth that in
// structural matrices, whose rows are long, and in networks, most of whose rows have one or two
// neighbours; not on grids. Of a singular matrix in float32 the factor would blow up the rounding
// errors in its nullspace.
template <class T>
bool is_factored_first(const DistRows<T>& A, const Params& params) {
  const Index n = A.own();
  if (!std::is_same_v<T, double> || !may_choose(params)) return false;
  if (A.comm.size() > 1) return false;
  if (n < least_rows || n > few_rows) return false;
  return A.nnz() >= long_rows * n || A.nnz() <= short_rows * n;
}

template <class T>
bool has_negative_sums(const DistRows<T>& A) {
  const CsrView<T>& rows = A.rows;
  Global negative = 0;
  for (Index i = 0; i < rows.rows; ++i) {
    double sum = 0, size = 0;
    for (Index p = rows.indptr[i]; p < rows.indptr[i + 1]; ++p)
      sum += rows.data[p], size += std::abs(rows.data[p]);
    negative += sum < -not_rounding * size;
  }
  return 2 * A.comm.sum(negative) > A.layout.total();
}

template <class T>
bool has_negative_curvature(const DistRows<T>& A, const std::vector<T>& d) {
  const Communicator& comm = A.comm;
  const auto n = static_cast<Index>(d.size());
  std::vector<T> r = d, z(n), p(n, T(0)), q(n);
  RowProduct<T> multiply(A);
  double before = 0;
  for (int step = 0; step < steps_from_constant; ++step) {
    for (Index i = 0; i < n; ++i) z[i] = d[i] > 0 ? r[i] / d[i] : T(0);
    const double now = comm.sum(dot(n, r.data(), z.data()));
    axpby(n, 1, z.data(), step > 0 ? now / before : 0, p.data());
    before = now;
    multiply(p.data(), q.data());
    const double curvature = comm.sum(dot(n, p.data(), q.data()));
    double mass = 0;
    for (Index i = 0; i < n; ++i) mass += double{d[i]} * p[i] * p[i];
    mass = comm.sum(mass);
    if (curvature < -not_rounding * mass) return true;
    if (!(curvature > not_rounding * mass)) return false;
    axpy(n, -now / curvature, q.data(), r.data());
  }
  return false;
}

// Multiply-adds: at most half the squares of the widths of the envelope. A hierarchy with its
// solution takes some 200 for each entry, but in longer loops; two hundred thousand are nothing.
bool is_complete_cheap(const CsrView<double>& A, const Params& params) {
  if (!may_choose(params)) return false;
  const double most = 2e5 + 50.0 * A.nnz();
  double work = 0;
  for (Index i = 0; i < A.rows && work <= most; ++i)
    if (A.indptr[i] < A.indptr[i + 1]) {
      const double width = std::max(i - A.indices[A.indptr[i]], 0);
      work += width * width / 2;
    }
  return work <= most;
}

Params without_drops(Params params) {
  params.drop_tolerance = 0;
  params.fill = std::numeric_limits<int>::max();
  return params;
}

bool begins_with_finer_factor(const Communicator& comm, Global rows, Global entries,
                              const Params& params) {
  if (!may_choose(params) || wants_hierarchy(comm, params) || rows < least_rows) return false;
  return rows <= (entries >= long_rows * rows ? few_rows : few_short_rows);
}

// Levels without a near-nullspace took 12 to 325 iterations on the structural matrices that were
// measured (1000 to 4000 rows), this factor 10 to 164, in at most the same time; on larger systems
// levels may still be better.
bool prefers_factor(const Communicator& comm, bool is_poor, const Params& params, Report& report) {
  if (!may_choose(params) || wants_hierarchy(comm, params)) return false;
  if (!is_poor || report.indefinite) return false;
  report.reason = "no near-nullspace is known: levels promise little";
  return true;
}

bool prefers_finer_factor(Global rows, bool is_poor, const Params& params, Report& report) {
  if (!may_choose(params) || !is_poor || report.indefinite || rows > few_rows) return false;
  report.reason =
      "no near-nullspace is known: an incomplete Cholesky factorization that drops less";
  return true;
}

Params with_fewer_drops(Params params) {
  params.drop_tolerance /= 10;
  params.fill = std::max(params.fill, 10);
  return params;
}

bool may_lower_diagonal(const CsrView<double>& A, const Border& border, const Params& params) {
  if (!may_choose(params) || wants_hierarchy(border.comm, params)) return false;
  // In a Laplacian that is shifted a little, the constant of each part has less energy than what is
  // dropped in it: an eigenvalue far below all others, which costs CG many digits (ca-HepTh: 137
  // iterations for 32).
  const double sums = relative_row_sums(A);
  if (sums > no_sum<double> && sums < little_sum) return false;
  return is_m_matrix(A);
}

bool lowers_as_asked(const CsrView<double>& A, const Border& border, const Params& params) {
  return params.method == Method::incomplete_cholesky &&
         params.compensation == Compensation::lower && border.comm.size() == 1 && is_m_matrix(A);
}

template <class T>
bool smoother_is_exact(const Border& border, const Level<T>& level, const Params& params,
                       bool complete, Report& report) {
  if (!may_choose(params)) return false;
  // Of a complete factorization a pivot that vanishes is raised to 1, and costs CG one iteration.
  constexpr double few_pivots = 3.5;
  const double lost = level.factor.compensation() * level.rows();
  const bool differs = lost > (complete ? few_pivots : 0) || level.factor.found_negative();
  report.exact = border.comm.max(Global{differs || !border.ghosts.empty()}) == 0;
  if (report.exact)
    report.reason = "the incomplete Cholesky factorization dropped nothing: it is exact";
  return report.exact;
}

template <class T>
std::vector<T> side_for_factor(const CsrView<double>& A, const NearNullspace& B,
                               const Border& border, const Params& params) {
  if (!may_choose(params)) return {};
  const std::vector<double> d = diagonal(A);
  return probe_side<T>(
      border.comm, A.rows, [&](Index i) { return std::abs(d[i]); },
      [&](Index i) { return B.sum(i); }, floating_parts(border.comm, A));
}

template <class T>
double smooth_factor_steps(const CsrView<double>& A, const Border& border, const Level<T>& level,
                           const Params& params) {
  if (!may_choose(params)) return Offer::unknown;
  // The constants of the parts of a Laplacian are for the probe, which looks for them.
  constexpr double small_sums = 1e-3;
  const bool is_shifted = relative_row_sums(A) >= small_sums;  // on this rank
  if (border.comm.max(Global{is_shifted}) == 0) return 0;
  constexpr int steps = 2;
  constexpr double of_bound = 1.1;  // of what two steps see
  const std::vector<double> d = diagonal(A);
  std::vector<T> work(2 * static_cast<std::size_t>(level.rows()));
  SmoothLook look(
      border.comm, std::vector<T>(d.begin(), d.end()), false,
      [&](const T* x, T* y) { spmv(level.A.view(), level.A_off, x, y); },
      [&](const T* r, T* z) { smooth_from_zero(level, params, r, z, work.data()); });
  return of_bound * look.steps_after(steps);
}

double most_factor_steps(const CsrView<double>& A, const Border& border, const Params& params,
                         bool poor) {
  Facts facts;
  facts.rows = border.comm.sum(Global{A.rows});
  facts.entries = border.comm.sum(Global{A.nnz()});
  facts.far_from_null = poor;
  facts.ranks = border.comm.size();
  facts.basis = params.basis;
  const bool is_wanted = wants_hierarchy(border.comm, params) &&
                         (facts.rows <= few_rows || params.solves >= many_solves);
  return is_wanted ? few_for_hierarchy : break_even_of_factor(facts, params);
}

template <class T>
bool factor_is_enough(const CsrView<double>& A, const std::vector<T>& side, const Border& border,
                      const Level<T>& level, const Params& params, double few, Report& report,
                      int longest) {
  if (!may_choose(params)) return false;
  const Global rows = border.comm.sum(Global{A.rows});
  const Global entries = border.comm.sum(Global{A.nnz()});
  const bool briefly = begins_with_finer_factor(border.comm, rows, entries, params);
  const auto iterations =
      predict_factor_iterations(side, border, level, params, static_cast<int>(few),
                                briefly ? std::min(steps_on_few_rows, longest) : longest);
  if (!iterations) return false;
  report.reason = few_iterations("the incomplete Cholesky factorization", *iterations);
  return true;
}

std::string reason_for(const Report& report, const Params& params) {
  if (report.method == "dense") return "few enough rows for a dense solve";
  if (report.method != "multilevel") {
    if (params.method == Method::incomplete_cholesky) return "asked for";
    return params.max_levels == 1 ? "asked for one level"
                                  : "a coarser level would not be small enough to be worth it";
  }
  const std::string nodes =
      report.node_size > 1 ? concat("; found nodes of ", report.node_size, " rows") : "";
  if (params.method == Method::multilevel) return "asked for" + nodes;
  if (params.smoother != SmootherKind::incomplete_cholesky)
    return "only the incomplete Cholesky smoother is tried alone" + nodes;
  return "the incomplete Cholesky factorization alone would need too many iterations" + nodes;
}

#define PYMPF_CHOOSE(T)                                                                          \
  template bool is_factored_first(const DistRows<T>&, const Params&);                            \
  template bool has_negative_sums(const DistRows<T>&);                                           \
  template bool has_negative_curvature(const DistRows<T>&, const std::vector<T>&);               \
  template bool smoother_is_exact(const Border&, const Level<T>&, const Params&, bool, Report&); \
  template std::vector<T> side_for_factor(const CsrView<double>&, const NearNullspace&,          \
                                          const Border&, const Params&);                         \
  template double smooth_factor_steps(const CsrView<double>&, const Border&, const Level<T>&,    \
                                      const Params&);                                            \
  template bool factor_is_enough(const CsrView<double>&, const std::vector<T>&, const Border&,   \
                                 const Level<T>&, const Params&, double, Report&, int);          \
  template std::optional<int> steps_with_diagonal(const DistRows<T>&, const std::vector<T>&,     \
                                                  const NearNullspace&, int, int);
PYMPF_CHOOSE(float)
PYMPF_CHOOSE(double)
#undef PYMPF_CHOOSE

}  // namespace pympf::precond
