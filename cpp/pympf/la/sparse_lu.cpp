#include "pympf/la/sparse_lu.hpp"

#include <algorithm>
#include <new>
#include <string>

#include "pympf/common/memory.hpp"
#include "pympf/la/dense.hpp"
#include "pympf/la/sparse.hpp"

#ifdef PYMPF_HAVE_SUPERLU
#include <slu_ddefs.h>
#endif

namespace pympf {

// The columns of L that row i meets are those on the paths from the entries of row i up the
// elimination tree (Liu, "The role of elimination trees in sparse factorization", SIAM J. Matrix
// Anal. Appl. 11, 1990).
Fill fill_of(const CsrView<double>& A, const std::vector<Index>& order, double most) {
  const Index n = A.rows;
  std::vector<Index> position(n), parent(n, -1), mark(n, -1), count(n, 1);
  for (Index k = 0; k < n; ++k) position[order[k]] = k;
  Fill fill;
  fill.entries = n;
  for (Index k = 0; k < n && fill.entries <= most; ++k) {
    mark[k] = k;
    const Index i = order[k];
    for (Index p = A.indptr[i]; p < A.indptr[i + 1]; ++p)
      for (Index j = position[A.indices[p]]; j < k && mark[j] != k; j = parent[j]) {
        mark[j] = k;
        ++count[j];
        ++fill.entries;
        if (parent[j] < 0) parent[j] = k;
      }
  }
  for (Index c : count) fill.work += static_cast<double>(c) * c;
  return fill;
}

#ifdef PYMPF_HAVE_SUPERLU

namespace {

constexpr double diagonal_pivots = 0.01;  // of the largest entry of a column, where it is enough
constexpr double any_pivots = 0.1;

// A symmetric matrix is the same by rows and by columns; SuperLU only reads it.
class Columns {
 public:
  explicit Columns(const CsrView<double>& A) {
    dCreate_CompCol_Matrix(&matrix_, A.rows, A.cols, A.nnz(), const_cast<double*>(A.data),
                           const_cast<Index*>(A.indices), const_cast<Index*>(A.indptr), SLU_NC,
                           SLU_D, SLU_GE);
  }
  ~Columns() { Destroy_SuperMatrix_Store(&matrix_); }
  Columns(const Columns&) = delete;
  Columns& operator=(const Columns&) = delete;
  SuperMatrix* get() { return &matrix_; }

 private:
  SuperMatrix matrix_;
};

// SuperLU takes the pivot of a column from the rows below, and reads behind them where the pattern
// leaves none. If every diagonal entry is in the pattern, one is always left: a pivot in row r and
// column c leaves to the row that c had the column that r had. So zeros are stored where A has
// nothing; a column in which only zeros are left is told by `info`.
Csr<double> with_whole_diagonal(const CsrView<double>& A) {
  Csr<double> out{A.rows, A.cols, {0}, {}, {}};
  for (Index i = 0; i < A.rows; ++i) {
    const Index *begin = A.indices + A.indptr[i], *end = A.indices + A.indptr[i + 1];
    const Index* at = std::lower_bound(begin, end, i);
    out.indices.insert(out.indices.end(), begin, at);
    out.data.insert(out.data.end(), A.data + A.indptr[i], A.data + (at - A.indices));
    if (at == end || *at != i) {
      out.indices.push_back(i);
      out.data.push_back(0);
    }
    out.indices.insert(out.indices.end(), at, end);
    out.data.insert(out.data.end(), A.data + (at - A.indices), A.data + A.indptr[i + 1]);
    out.indptr.push_back(to_index(Global(out.data.size()), "entries of a matrix to be factored"));
  }
  return out;
}

// With pivots off the diagonal the tree of A + A^T may miss an update, and SuperLU takes a row
// twice.
bool is_permutation(const std::vector<Index>& rows) {
  std::vector<char> seen(rows.size(), 0);
  for (Index i : rows) {
    if (i < 0 || i >= static_cast<Index>(rows.size()) || seen[i]) return false;
    seen[i] = 1;
  }
  return true;
}

// SuperLU ends the process where an array that is not of L or U has no room: there must be room for
// all that it asks for at first. A few arrays of integers:
void require_room_to_order(std::size_t rows, std::size_t nnz) {
  constexpr std::size_t margin_bytes = std::size_t{1} << 20;
  require_room(sizeof(int) * (6 * nnz + 16 * rows) + margin_bytes);
}

// L and U by its guess of their fill, with the work space of the panels; what L and U want later
// may fail.
void require_room_to_factor(std::size_t rows, std::size_t nnz) {
  const std::size_t fill = sp_ienv(6), panel = sp_ienv(1);
  const std::size_t factors = fill * nnz * (2 * sizeof(double) + 2 * sizeof(int));
  const std::size_t work = rows * (panel * sizeof(double) + (2 * panel + 32) * sizeof(int));
  require_room(factors + work);
  require_room_to_order(rows, nnz);
}

class Statistics {
 public:
  Statistics() { StatInit(&stat_); }
  ~Statistics() { StatFree(&stat_); }
  Statistics(const Statistics&) = delete;
  Statistics& operator=(const Statistics&) = delete;
  SuperLUStat_t* get() { return &stat_; }

 private:
  SuperLUStat_t stat_;
};

}  // namespace

struct SparseLu::Factors {
  SuperMatrix L{}, U{};
  std::vector<Index> columns, rows;

  Factors() = default;
  Factors(const Factors&) = delete;
  Factors& operator=(const Factors&) = delete;
  ~Factors() {
    if (L.Store) Destroy_SuperNode_Matrix(&L);
    if (U.Store) Destroy_CompCol_Matrix(&U);
  }
};

bool SparseLu::available() { return true; }

LuPlan::LuPlan(const CsrView<double>& A, double most_entries) : order(A.rows) {
  const std::vector<double> d = diagonal(A);
  on_diagonal = std::find(d.begin(), d.end(), 0.0) == d.end();
  for (Index i = 0; i < A.rows && !has_zero_row; ++i)
    has_zero_row = std::all_of(A.data + A.indptr[i], A.data + A.indptr[i + 1],
                               [](double v) { return v == 0; });
  if (has_zero_row) return;
  std::vector<Index> position(A.rows);
  require_room_to_order(A.rows, A.nnz());
  Columns columns(A);
  get_perm_c(on_diagonal ? MMD_AT_PLUS_A : COLAMD, columns.get(), position.data());
  for (Index i = 0; i < A.rows; ++i) order[position[i]] = i;
  if (on_diagonal) fill = fill_of(A, order, most_entries);
}

SparseLu::SparseLu() : factors_(std::make_unique<Factors>()) {}

std::optional<SparseLu> SparseLu::factor(const CsrView<double>& A, const LuPlan& plan,
                                         Pivots pivots) {
  if (plan.has_zero_row) return {};
  const SerialBlas serial;
  SparseLu lu;
  superlu_options_t options;
  set_default_options(&options);
  options.SymmetricMode = plan.on_diagonal ? YES : NO;
  options.DiagPivotThresh = pivots == Pivots::fixed ? 0
                            : plan.on_diagonal      ? diagonal_pivots
                                                    : any_pivots;
  Factors& out = *lu.factors_;
  out.columns.resize(A.rows);
  out.rows.resize(A.rows);
  for (Index k = 0; k < A.rows; ++k) out.columns[plan.order[k]] = k;
  const Csr<double> whole = plan.on_diagonal ? Csr<double>() : with_whole_diagonal(A);
  Columns columns(plan.on_diagonal ? A : whole.view());
  require_room_to_factor(A.rows, static_cast<const NCformat*>(columns.get()->Store)->nnz);
  SuperMatrix ordered;
  std::vector<Index> tree(A.rows);
  sp_preorder(&options, columns.get(), out.columns.data(), tree.data(), &ordered);
  Statistics statistics;
  GlobalLU_t global;
  int_t info = 0;
  dgstrf(&options, &ordered, sp_ienv(2), sp_ienv(1), tree.data(), nullptr, 0, out.columns.data(),
         out.rows.data(), &out.L, &out.U, &global, statistics.get(), &info);
  Destroy_CompCol_Permuted(&ordered);
  if (info > A.rows) throw std::bad_alloc();
  if (info != 0 || !is_permutation(out.rows)) return {};
  return lu;
}

// Supernode by supernode: consecutive columns whose part of L has the same rows, the triangle of U
// between them above the diagonal; U has the rest.
void SparseLu::solve(double* x, double* y) const {
  const Factors& factors = *factors_;
  const auto n = static_cast<Index>(factors.rows.size());
  const auto& L = *static_cast<const SCformat*>(factors.L.Store);
  const auto& U = *static_cast<const NCformat*>(factors.U.Store);
  const auto* l = static_cast<const double*>(L.nzval);
  const auto* u = static_cast<const double*>(U.nzval);
  for (Index i = 0; i < n; ++i) y[factors.rows[i]] = x[i];
  for (Index s = 0; s <= L.nsuper; ++s) {
    const Index first = L.sup_to_col[s], end = L.sup_to_col[s + 1];
    const auto* rows = L.rowind + L.rowind_colptr[first];
    const auto height = L.rowind_colptr[first + 1] - L.rowind_colptr[first];
    for (Index j = first; j < end; ++j)
      for (auto r = j - first + 1; r < height; ++r) y[rows[r]] -= l[L.nzval_colptr[j] + r] * y[j];
  }
  for (Index s = L.nsuper; s >= 0; --s) {
    const Index first = L.sup_to_col[s];
    for (Index j = L.sup_to_col[s + 1] - 1; j >= first; --j) {
      const double* column = l + L.nzval_colptr[j];
      y[j] /= column[j - first];
      for (Index r = 0; r < j - first; ++r) y[first + r] -= column[r] * y[j];
      for (auto p = U.colptr[j]; p < U.colptr[j + 1]; ++p) y[U.rowind[p]] -= u[p] * y[j];
    }
  }
  for (Index i = 0; i < n; ++i) x[i] = y[factors.columns[i]];
}

// Pr A Pc^T = L U, so A^T x = b is U^T (L^T (Pr x)) = Pc b.
void SparseLu::solve_transposed(double* x, double* y) const {
  const Factors& factors = *factors_;
  const auto n = static_cast<Index>(factors.rows.size());
  const auto& L = *static_cast<const SCformat*>(factors.L.Store);
  const auto& U = *static_cast<const NCformat*>(factors.U.Store);
  const auto* l = static_cast<const double*>(L.nzval);
  const auto* u = static_cast<const double*>(U.nzval);
  for (Index i = 0; i < n; ++i) y[factors.columns[i]] = x[i];
  for (Index s = 0; s <= L.nsuper; ++s) {
    const Index first = L.sup_to_col[s];
    for (Index j = first; j < L.sup_to_col[s + 1]; ++j) {
      const double* column = l + L.nzval_colptr[j];
      double sum = y[j];
      for (auto p = U.colptr[j]; p < U.colptr[j + 1]; ++p) sum -= u[p] * y[U.rowind[p]];
      for (Index r = 0; r < j - first; ++r) sum -= column[r] * y[first + r];
      y[j] = sum / column[j - first];
    }
  }
  for (Index s = L.nsuper; s >= 0; --s) {
    const Index first = L.sup_to_col[s];
    const auto* rows = L.rowind + L.rowind_colptr[first];
    const auto height = L.rowind_colptr[first + 1] - L.rowind_colptr[first];
    for (Index j = L.sup_to_col[s + 1] - 1; j >= first; --j)
      for (auto r = j - first + 1; r < height; ++r) y[j] -= l[L.nzval_colptr[j] + r] * y[rows[r]];
  }
  for (Index i = 0; i < n; ++i) x[i] = y[factors.rows[i]];
}

std::optional<Index> SparseLu::negative_pivots() const {
  if (factors_->rows != factors_->columns) return {};
  const auto& L = *static_cast<const SCformat*>(factors_->L.Store);
  const auto* l = static_cast<const double*>(L.nzval);
  Index negative = 0;
  for (Index s = 0; s <= L.nsuper; ++s)
    for (Index first = L.sup_to_col[s], j = first; j < L.sup_to_col[s + 1]; ++j)
      negative += !(l[L.nzval_colptr[j] + j - first] > 0);
  return negative;
}

std::size_t SparseLu::nnz() const {
  return static_cast<std::size_t>(static_cast<SCformat*>(factors_->L.Store)->nnz +
                                  static_cast<NCformat*>(factors_->U.Store)->nnz);
}

#else

struct SparseLu::Factors {};

namespace {
[[noreturn]] void refuse() {
  throw InvalidArgument(
      "a sparse LU factorization needs SuperLU, and this pympf was built without it: install "
      "libsuperlu-dev (or its like) and build anew");
}
}  // namespace

bool SparseLu::available() { return false; }
LuPlan::LuPlan(const CsrView<double>&, double) { refuse(); }
SparseLu::SparseLu() = default;
std::optional<SparseLu> SparseLu::factor(const CsrView<double>&, const LuPlan&, Pivots) {
  refuse();
}
void SparseLu::solve(double*, double*) const { refuse(); }
void SparseLu::solve_transposed(double*, double*) const { refuse(); }
std::optional<Index> SparseLu::negative_pivots() const { refuse(); }
std::size_t SparseLu::nnz() const { refuse(); }

#endif

std::size_t SparseLu::bytes() const { return nnz() * (sizeof(double) + sizeof(Index)); }
SparseLu::~SparseLu() = default;
SparseLu::SparseLu(SparseLu&&) noexcept = default;
SparseLu& SparseLu::operator=(SparseLu&&) noexcept = default;

}  // namespace pympf
