#include "pympf/precond/choice/probes.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <type_traits>

#include "pympf/la/sparse.hpp"

namespace pympf::precond {
namespace {

// A sum above this part of that of its terms is none of rounding errors, in float32 neither.
constexpr double not_rounding = 1e-6;
// Two steps find a negative eigenvalue of a shifted Laplacian on 46^3 cells, four on 22^3.
constexpr int steps_from_constant = 8;

}  // namespace

bool wants_hierarchy(const Communicator& comm, const Params& params) {
  return params.coarse_size > 0 || comm.size() > 1 || params.solves >= many_solves;
}

bool may_choose(const Params& params) {
  return params.method == Method::automatic && params.max_levels > 1 &&
         params.cycle != CycleKind::additive &&
         params.smoother == SmootherKind::incomplete_cholesky;
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
  auto rhs = probe_rhs<T>(
      A.comm, A.own(), [&](Index i) { return double{inverse[i]}; }, constants);
  for (T& d : inverse) d = d > 0 ? 1 / d : T(0);
  return predict_iterations(
      A.comm, std::move(rhs), most, [&](const T* x, T* y) { multiply(x, y); },
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

#define PYMPF_CHOOSE(T)                                                                      \
  template bool is_factored_first(const DistRows<T>&, const Params&);                        \
  template bool has_negative_sums(const DistRows<T>&);                                       \
  template bool has_negative_curvature(const DistRows<T>&, const std::vector<T>&);           \
  template std::optional<int> steps_with_diagonal(const DistRows<T>&, const std::vector<T>&, \
                                                  const NearNullspace&, int, int);
PYMPF_CHOOSE(float)
PYMPF_CHOOSE(double)
#undef PYMPF_CHOOSE

}  // namespace pympf::precond
