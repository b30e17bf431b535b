// PETSc preconditioner type `mmf`: the multilevel preconditioner (precond/preconditioner.hpp) of
// the preconditioning matrix.
//
//   program -dll_append <folder>/libpympf_petsc.so -pc_type mmf -pc_mmf_<field> <value>
//
// The fields are those of precond/params.hpp, and reuse_rotations. With -pc_mmf_method classic it
// is |F|^-1 instead, F the multiresolution factorization, and the fields are those of
// mmf/params.hpp. |F| takes the eigenvalues by absolute value (zeros count as the largest one), so
// |F|^-1 is symmetric positive definite whatever the matrix is.
//
// One process; on several processes it is the solver of the blocks of bjacobi or asm.
#include <petsc/private/pcimpl.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <iomanip>
#include <limits>
#include <new>
#include <sstream>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "pympf/la/sparse.hpp"
#include "pympf/mmf/mmf.hpp"
#include "pympf/precond/preconditioner.hpp"

#if defined(PETSC_USE_COMPLEX)
#error "pympf factors real matrices: build it with a PETSc that has --with-scalar-type=real"
#endif
#if PETSC_VERSION_LT(3, 18, 0)
#error "the pympf preconditioner needs PETSc 3.18 or newer"
#endif
static_assert(std::is_same_v<PetscScalar, double> || std::is_same_v<PetscScalar, float>,
              "pympf computes in double or single precision");

namespace pympf {
namespace {

using Matrix = CsrView<PetscScalar>;
using Multilevel = precond::Preconditioner<PetscScalar>;
using Factors = mmf::Mmf<PetscScalar>;

struct Classic {
  Factors F, M;  // of the matrix; its |F|^-1, on the same rotations
  std::vector<PetscScalar> block = {};
};

// Not set up, or a matrix without rows: a block of bjacobi may be one.
struct Nothing {
  bool is_built = false;
};

using Built = std::variant<Nothing, Multilevel, Classic>;

struct PcMmf {
  // A cycle in single precision is linear to seven digits, which GMRES and MINRES do not forgive:
  // they would report a residual that they have not reached.
  precond::Params multilevel{.precision = precond::Precision::working};
  mmf::Params factorization;
  bool classic = false, reuse_rotations = true;
  Built built;
  int reused = 0;              // setups that took over the rotations of an earlier one
  PetscObjectId modes_id = 0;  // of the null space that the modes came from; 0: none
  std::string modes;           // what they are, for the view
};

PcMmf& data(PC pc) { return *static_cast<PcMmf*>(pc->data); }

template <class P>
Field<PcMmf> of_plugin(const Field<P>& f, P PcMmf::*part) {
  return {f.name,
          f.kind,
          f.minimum,
          f.maximum,
          f.choices,
          f.doc,
          [&f, part](const PcMmf& p) { return f.get(p.*part); },
          [&f, part](PcMmf& p, double value) { f.assign(p.*part, value); }};
}

// The methods of the multilevel preconditioner, and one more.
Field<PcMmf> method_field() {
  const auto& f = find_field(precond::fields(), "method");
  Field<PcMmf> out = of_plugin(f, &PcMmf::multilevel);
  const double classic = ++out.maximum;
  out.choices.push_back("classic");
  out.doc += " classic: |F|^-1 of the multiresolution factorization F.";
  out.get = [&f, classic](const PcMmf& p) { return p.classic ? classic : f.get(p.multilevel); };
  out.assign = [&f, classic](PcMmf& p, double value) {
    p.classic = value == classic;
    if (!p.classic) f.assign(p.multilevel, value);
  };
  return out;
}

std::vector<Field<PcMmf>> common_options() {
  return {method_field(),
          field("reuse_rotations", &PcMmf::reuse_rotations, 0, 1,
                "When only the values of the matrix changed, keep the rotations (with the clusters "
                "and the scaling functions) and project the new values on them: quicker, and as "
                "good while the values change by a factor or by little.")};
}

template <class P>
std::vector<Field<PcMmf>> options_of(const std::vector<Field<P>>& fields, P PcMmf::*part) {
  std::vector<Field<PcMmf>> list;
  for (const auto& f : fields)
    if (f.name != "method") list.push_back(of_plugin(f, part));
  return list;
}

struct Options {
  std::vector<Field<PcMmf>> common = common_options(),
                            multilevel = options_of(precond::fields(), &PcMmf::multilevel),
                            classic = options_of(mmf::fields(), &PcMmf::factorization);

  const std::vector<Field<PcMmf>>& of(bool is_classic) const {
    return is_classic ? classic : multilevel;
  }
  std::vector<Field<PcMmf>> all() const {
    std::vector<Field<PcMmf>> list = common;
    for (const auto* part : {&multilevel, &classic})
      list.insert(list.end(), part->begin(), part->end());
    return list;
  }
};

const Options& options() {
  static const Options list;
  return list;
}

// ---- errors -------------------------------------------------------------------------------------

// A factorization that breaks down is a property of the matrix: the outer solver may go on without
// it, unless the user asked for an error (as PCLU does).
PetscErrorCode break_down(PC pc, const char* text) {
  PetscFunctionBegin;
  PetscCheck(!pc->erroriffailure, PetscObjectComm((PetscObject)pc), PETSC_ERR_CONV_FAILED,
             "PC mmf: %s", text);
  PetscCall(PetscInfo(pc, "%s\n", text));
  PetscCall(PCSetFailedReason(pc, PC_FACTOR_OTHER));
  PetscFunctionReturn(PetscErrorCode(0));
}

// Runs `body`, which returns a PetscErrorCode, and lets no C++ exception into PETSc.
template <class Body>
PetscErrorCode guarded(PC pc, const Body& body,
                       PetscErrorCode invalid = PetscErrorCode(PETSC_ERR_ARG_WRONG)) {
  const MPI_Comm comm = PetscObjectComm((PetscObject)pc);
  PetscFunctionBegin;
  try {
    PetscCall(body());
  } catch (const InvalidArgument& error) {
    SETERRQ(comm, invalid, "PC mmf: %s", error.what());
  } catch (const Singular& error) {
    PetscCall(break_down(pc, error.what()));
  } catch (const std::bad_alloc&) {
    SETERRQ(comm, PETSC_ERR_MEM, "PC mmf: out of memory");
  } catch (const std::exception& error) {
    SETERRQ(comm, PETSC_ERR_LIB, "PC mmf: %s", error.what());
  }
  PetscFunctionReturn(PetscErrorCode(0));
}

// ---- the matrix ---------------------------------------------------------------------------------

PetscErrorCode check_operator(PC pc) {
  PetscLayout rows;
  PetscInt m, n;
  PetscBool assembled;

  PetscFunctionBegin;
  PetscCall(MatGetLayouts(pc->pmat, &rows, nullptr));
  PetscCheck(rows->size == 1, PetscObjectComm((PetscObject)pc), PETSC_ERR_SUP,
             "PC mmf works on one process, the matrix is on %d. Use it on the blocks: -pc_type "
             "bjacobi -sub_pc_type mmf",
             static_cast<int>(rows->size));
  PetscCall(MatGetSize(pc->pmat, &m, &n));
  PetscCheck(m == n, PetscObjectComm((PetscObject)pc), PETSC_ERR_ARG_SIZ,
             "PC mmf expects a square matrix, got %" PetscInt_FMT " rows and %" PetscInt_FMT
             " columns",
             m, n);
  PetscCall(MatAssembled(pc->pmat, &assembled));
  PetscCheck(assembled, PetscObjectComm((PetscObject)pc), PETSC_ERR_ARG_WRONGSTATE,
             "PC mmf expects an assembled matrix: call MatAssemblyBegin() and MatAssemblyEnd()");
  PetscFunctionReturn(PetscErrorCode(0));
}

// A new reference to A if it is stored by rows, else a copy in that form. SeqSBAIJ stores one
// triangle; its copy has both.
PetscErrorCode as_seqaij(Mat A, Mat* aij) {
  PetscBool is_aij, matrix_free;

  PetscFunctionBegin;
  // PETSc would convert these by n products with unit vectors.
  PetscCall(PetscObjectTypeCompareAny((PetscObject)A, &matrix_free, MATSHELL, MATMFFD, MATPYTHON,
                                      nullptr));
  PetscCheck(!matrix_free, PetscObjectComm((PetscObject)A), PETSC_ERR_SUP,
             "PC mmf needs the entries of the matrix, and one of type %s has none: give an "
             "assembled matrix as the second one of KSPSetOperators()",
             ((PetscObject)A)->type_name);
  PetscCall(PetscObjectBaseTypeCompare((PetscObject)A, MATSEQAIJ, &is_aij));
  if (is_aij) {
    PetscCall(PetscObjectReference((PetscObject)A));
    *aij = A;
  } else {
    PetscCall(MatConvert(A, MATSEQAIJ, MAT_INITIAL_MATRIX, aij));
  }
  PetscFunctionReturn(PetscErrorCode(0));
}

// PETSc's indices as ours: the same array if the types agree, else in `copy`.
template <class Int>
const Index* as_index(const Int* from, std::size_t count, std::vector<Index>& copy) {
  if constexpr (std::is_same_v<Int, Index>) {
    return from;
  } else {
    copy.resize(count);
    std::transform(from, from + count, copy.begin(),
                   [](Int i) { return to_index(i, "matrix of PC mmf"); });
    return copy.data();
  }
}

void check_entries(const Matrix& A) {
  for (Index i = 0; i < A.rows; ++i)
    for (Index p = A.indptr[i]; p < A.indptr[i + 1]; ++p) {
      const Index j = A.indices[p];
      require(j >= 0 && j < A.cols, "expected column indices from 0 to ", A.cols - 1, ", got ", j,
              " in row ", i);
      require(std::isfinite(A.data[p]), "expected finite entries, got ", A.data[p], " at i = ", i,
              ", j = ", j);
    }
}

bool rows_ascend(const Matrix& A) {
  for (Index i = 0; i < A.rows; ++i)
    for (Index p = A.indptr[i] + 1; p < A.indptr[i + 1]; ++p)
      if (A.indices[p - 1] >= A.indices[p]) return false;
  return true;
}

// Rows sorted, entries stored twice summed: arrays handed to MatCreateSeqAIJWithArrays() may come
// unsorted.
Csr<PetscScalar> canonical(const Matrix& A) {
  const Csr<PetscScalar> sorted = transpose<PetscScalar>(transpose(A));
  Csr<PetscScalar> out{A.rows, A.cols, {0}, {}, {}};
  for (Index i = 0; i < A.rows; ++i) {
    for (Index p = sorted.indptr[i]; p < sorted.indptr[i + 1]; ++p)
      if (p > sorted.indptr[i] && sorted.indices[p] == sorted.indices[p - 1]) {
        out.data.back() += sorted.data[p];
      } else {
        out.indices.push_back(sorted.indices[p]);
        out.data.push_back(sorted.data[p]);
      }
    out.indptr.push_back(static_cast<Index>(out.indices.size()));
  }
  return out;
}

// Calls compare(i, j, a_ij, a_ji) for i <= j where one of them is stored. The rows ascend, so the
// left parts of the rows are read once, each as far as row i has come.
template <class Compare>
void for_pairs(const Matrix& A, const Compare& compare) {
  std::vector<Index> next(A.indptr, A.indptr + A.rows);
  const auto read_until = [&](Index row, Index column) {
    Index& p = next[row];
    for (; p < A.indptr[row + 1] && A.indices[p] < column; ++p)
      compare(A.indices[p], row, 0, A.data[p]);
    return p < A.indptr[row + 1] && A.indices[p] == column ? A.data[p++] : 0;
  };
  for (Index i = 0; i < A.rows; ++i) {
    const PetscScalar diagonal = read_until(i, i);
    compare(i, i, diagonal, diagonal);
    for (Index p = next[i]; p < A.indptr[i + 1]; ++p)
      compare(i, A.indices[p], A.data[p], read_until(A.indices[p], i));
  }
}

// The tolerance of the Python gate (pympf.la).
void check_symmetric(const Matrix& A) {
  constexpr double tolerance = std::is_same_v<PetscScalar, double> ? 1e-12 : 1e-5;
  double largest = 0, gap = 0;
  Index row = 0, column = 0;
  for_pairs(A, [&](Index i, Index j, double a, double b) {
    largest = std::max({largest, std::abs(a), std::abs(b)});
    if (std::abs(a - b) <= gap) return;
    gap = std::abs(a - b);
    row = i;
    column = j;
  });
  require(gap <= tolerance * largest, "expected a symmetric matrix, got max|a_ij - a_ji| = ", gap,
          " at i = ", row, ", j = ", column, " (allowed: ", tolerance * largest,
          "); give a symmetric one as the second matrix of KSPSetOperators()");
}

// ---- near-nullspace -----------------------------------------------------------------------------

struct Modes {
  precond::NearNullspace vectors;  // empty when the user gave none
  Index block = 1;
  bool are_new = true;
};

// What the user attached to the preconditioning matrix, else to the operator: the near-null space,
// else the null space.
PetscErrorCode find_null_space(PC pc, MatNullSpace* found, std::string* origin) {
  PetscFunctionBegin;
  for (Mat A : {pc->pmat, pc->mat}) {
    const char* owner = A == pc->pmat ? "the matrix" : "the operator";
    PetscCall(MatGetNearNullSpace(A, found));
    *origin = concat("the near-null space of ", owner);
    if (*found) break;
    PetscCall(MatGetNullSpace(A, found));
    *origin = concat("the null space of ", owner);
    if (*found) break;
  }
  PetscFunctionReturn(PetscErrorCode(0));
}

PetscErrorCode read_vector(Vec v, PetscInt column, precond::NearNullspace* modes) {
  const PetscInt rows = static_cast<PetscInt>(modes->values.size()) / modes->vectors;
  const PetscScalar* values;
  PetscInt n;

  PetscFunctionBegin;
  PetscCall(VecGetSize(v, &n));
  require(n == rows, "vector ", column, " of the null space has ", n, " rows, the matrix ", rows);
  PetscCall(VecGetArrayRead(v, &values));
  for (PetscInt i = 0; i < n; ++i)
    modes->values[static_cast<std::size_t>(i) * modes->vectors + column] = values[i];
  PetscCall(VecRestoreArrayRead(v, &values));
  PetscFunctionReturn(PetscErrorCode(0));
}

// The constants come first; a null space that is a function has no vectors.
PetscErrorCode read_vectors(MatNullSpace space, PetscInt rows, precond::NearNullspace* modes) {
  PetscBool constants;
  PetscInt count;
  const Vec* vectors;

  PetscFunctionBegin;
  PetscCall(MatNullSpaceGetVecs(space, &constants, &count, &vectors));
  const PetscInt first = constants ? 1 : 0;
  if (first + count == 0) PetscFunctionReturn(PetscErrorCode(0));
  modes->vectors = to_index(first + count, "vectors of the null space");
  modes->values.assign(static_cast<std::size_t>(rows) * modes->vectors, 1);
  for (PetscInt e = 0; e < count; ++e) PetscCall(read_vector(vectors[e], first + e, modes));
  for (double v : modes->values) require(std::isfinite(v), "the null space has the entry ", v);
  PetscFunctionReturn(PetscErrorCode(0));
}

PetscErrorCode find_modes(PC pc, Modes* modes) {
  std::string& description = data(pc).modes;
  PetscObjectId& id = data(pc).modes_id;
  MatNullSpace space = nullptr;
  PetscInt rows, block;

  PetscFunctionBegin;
  PetscCall(MatGetSize(pc->pmat, &rows, nullptr));
  PetscCall(MatGetBlockSize(pc->pmat, &block));
  if (block > 0 && rows % block == 0) modes->block = to_index(block, "block size");
  PetscCall(find_null_space(pc, &space, &description));
  const PetscObjectId before = std::exchange(id, 0);
  if (space) {
    PetscCall(PetscObjectGetId((PetscObject)space, &id));
    PetscCall(read_vectors(space, rows, &modes->vectors));
  }
  modes->are_new = id != before;
  if (modes->vectors.values.empty())
    description = "constants, adapted where they are poor";
  else
    description = concat(modes->vectors.vectors,
                         modes->vectors.vectors == 1 ? " vector" : " vectors", " of ", description);
  description += concat("; block size ", modes->block);
  PetscFunctionReturn(PetscErrorCode(0));
}

// ---- setup --------------------------------------------------------------------------------------

void require_finite(const Classic& classic) {
  const auto& H = classic.M.factors().H;
  const auto finite = [](const std::vector<PetscScalar>& values) {
    return std::all_of(values.begin(), values.end(),
                       [](PetscScalar v) { return std::isfinite(v); });
  };
  require<Singular>(finite(H.core) && finite(H.diagonal),
                    "the inverse of the factorization is not finite: the entries of the matrix are "
                    "too large or too small; scale it");
}

Classic factorize(const PcMmf& mmf, const Matrix& A) {
  Factors F(mmf::factorize(A, mmf.factorization));
  Factors M = F.preconditioner();
  return {std::move(F), std::move(M)};
}

void update(Classic& classic, const Matrix& A) {
  classic.F = classic.F.refactorize(A);
  classic.M = classic.F.preconditioner();
}

void update(Multilevel& M, const Matrix& A) { M.update(A); }
void update(Nothing&, const Matrix&) {}

// Incomplete factors of an indefinite matrix may grow without bound.
void require_finite(const Multilevel& M) {
  if (!M.report().indefinite) return;
  std::vector<PetscScalar> ones(M.rows(), 1), z(M.rows());
  M.apply(ones.data(), z.data());
  require<Singular>(std::all_of(z.begin(), z.end(), [](PetscScalar v) { return std::isfinite(v); }),
                    "the multilevel preconditioner of this indefinite matrix is not finite; use "
                    "-pc_mmf_method classic");
}

void require_finite(const Nothing&) {}

// `built` is what was built for the matrix before this one.
void build(PcMmf& mmf, const Matrix& A, const Modes& modes, bool same_pattern, Built built) {
  check_entries(A);
  Csr<PetscScalar> owned;
  const Matrix matrix = rows_ascend(A) ? A : Matrix(owned = canonical(A));
  check_symmetric(matrix);
  const bool reuse =
      mmf.reuse_rotations && same_pattern && built.index() > 0 && (mmf.classic || !modes.are_new);
  if (reuse)
    std::visit([&](auto& M) { update(M, matrix); }, built);
  else if (A.rows == 0)
    built = Nothing{true};
  else if (mmf.classic)
    built = factorize(mmf, matrix);
  else
    built.emplace<Multilevel>(matrix, mmf.multilevel, modes.vectors, modes.block);
  std::visit([](const auto& M) { require_finite(M); }, built);
  mmf.reused = reuse ? mmf.reused + 1 : 0;
  mmf.built = std::move(built);
}

PetscErrorCode build_seqaij(PC pc, Mat aij, const Modes& modes, Built before) {
  PetscInt n;
  const PetscInt *indptr, *indices;
  const PetscScalar* values;
  PetscBool done;

  PetscFunctionBegin;
  PetscCall(MatGetRowIJ(aij, 0, PETSC_FALSE, PETSC_FALSE, &n, &indptr, &indices, &done));
  PetscCheck(done, PETSC_COMM_SELF, PETSC_ERR_SUP, "PC mmf: the rows of a %s are not accessible",
             ((PetscObject)aij)->type_name);
  PetscCall(MatSeqAIJGetArrayRead(aij, &values));
  const PetscErrorCode failure = guarded(pc, [&] {
    std::vector<Index> indptr_copy, indices_copy;
    const Index rows = to_index(n, "rows of the matrix");
    const Index* ptr = as_index(indptr, static_cast<std::size_t>(n) + 1, indptr_copy);
    const Matrix A{rows, rows, ptr, as_index(indices, ptr[n], indices_copy), values};
    build(data(pc), A, modes, pc->flag == SAME_NONZERO_PATTERN, std::move(before));
    return PetscErrorCode(0);
  });
  PetscCall(MatSeqAIJRestoreArrayRead(aij, &values));
  PetscCall(MatRestoreRowIJ(aij, 0, PETSC_FALSE, PETSC_FALSE, &n, &indptr, &indices, &done));
  PetscCall(failure);
  PetscFunctionReturn(PetscErrorCode(0));
}

PetscErrorCode PCSetUp_MMF(PC pc) {
  Mat aij;
  Modes modes;

  PetscFunctionBegin;
  // A setup that fails must not leave what was built for the matrix before it.
  Built before = std::exchange(data(pc).built, Nothing());
  PetscCall(check_operator(pc));
  PetscCall(PCSetFailedReason(pc, PC_NOERROR));
  if (!data(pc).classic) PetscCall(guarded(pc, [&] { return find_modes(pc, &modes); }));
  PetscCall(as_seqaij(pc->pmat, &aij));
  const PetscErrorCode failure = build_seqaij(pc, aij, modes, std::move(before));
  PetscCall(MatDestroy(&aij));
  PetscCall(failure);
  pc->setupcalled = PETSC_TRUE;  // PETSc does so after this; -pc_view would say "not set up"
  PetscCall(PCViewFromOptions(pc, nullptr, "-pc_view"));
  PetscFunctionReturn(PetscErrorCode(0));
}

// ---- apply --------------------------------------------------------------------------------------

PetscErrorCode check_built(PC pc) {
  PetscFunctionBegin;
  const auto* nothing = std::get_if<Nothing>(&data(pc).built);
  PetscCheck(!nothing || nothing->is_built, PetscObjectComm((PetscObject)pc), PETSC_ERR_ORDER,
             "PC mmf has nothing to apply: its last setup failed");
  PetscFunctionReturn(PetscErrorCode(0));
}

void apply(const Multilevel& M, const PetscScalar* x, PetscScalar* y) { M.apply(x, y); }
void apply(const Classic& classic, const PetscScalar* x, PetscScalar* y) {
  classic.M.multiply(x, y, 1);
}
void apply(Nothing, const PetscScalar*, PetscScalar*) {}

PetscErrorCode PCApply_MMF(PC pc, Vec x, Vec y) {
  const PetscScalar* in;
  PetscScalar* out;

  PetscFunctionBegin;
  PetscCall(check_built(pc));
  PetscCall(VecGetArrayRead(x, &in));
  PetscCall(VecGetArrayWrite(y, &out));
  PetscCall(guarded(pc, [&] {
    std::visit([&](const auto& M) { apply(M, in, out); }, data(pc).built);
    return PetscErrorCode(0);
  }));
  PetscCall(VecRestoreArrayWrite(y, &out));
  PetscCall(VecRestoreArrayRead(x, &in));
  PetscFunctionReturn(PetscErrorCode(0));
}

// A block of vectors as PETSc stores it: by columns.
template <class T>
struct Columns {
  T* values;
  std::size_t stride;
  Index rows, count;

  T* column(Index q) const { return values + q * stride; }
};

void apply_block(const Multilevel& M, Columns<const PetscScalar> X, Columns<PetscScalar> Y) {
  for (Index q = 0; q < X.count; ++q) M.apply(X.column(q), Y.column(q));
}

// The factors take blocks by rows.
void apply_block(Classic& classic, Columns<const PetscScalar> X, Columns<PetscScalar> Y) {
  const auto by_rows = [&](Index i, Index q) { return static_cast<std::size_t>(i) * X.count + q; };
  classic.block.resize(by_rows(X.rows, 0));
  PetscScalar* block = classic.block.data();
  for (Index i = 0; i < X.rows; ++i)
    for (Index q = 0; q < X.count; ++q) block[by_rows(i, q)] = X.column(q)[i];
  classic.M.multiply(block, block, X.count);
  for (Index i = 0; i < X.rows; ++i)
    for (Index q = 0; q < X.count; ++q) Y.column(q)[i] = block[by_rows(i, q)];
}

void apply_block(Nothing, Columns<const PetscScalar>, Columns<PetscScalar>) {}

PetscErrorCode PCMatApply_MMF(PC pc, Mat X, Mat Y) {
  const PetscScalar* in;
  PetscScalar* out;
  PetscInt rows, columns, ldx, ldy;

  PetscFunctionBegin;
  PetscCall(check_built(pc));
  PetscCall(MatGetSize(X, &rows, &columns));
  PetscCall(MatDenseGetLDA(X, &ldx));
  PetscCall(MatDenseGetLDA(Y, &ldy));
  PetscCall(MatDenseGetArrayRead(X, &in));
  PetscCall(MatDenseGetArrayWrite(Y, &out));
  PetscCall(guarded(pc, [&] {
    const Index n = to_index(rows, "rows of the block");
    const Index m = to_index(columns, "columns of the block");
    const Columns<const PetscScalar> from{in, static_cast<std::size_t>(ldx), n, m};
    const Columns<PetscScalar> to{out, static_cast<std::size_t>(ldy), n, m};
    std::visit([&](auto& M) { apply_block(M, from, to); }, data(pc).built);
    return PetscErrorCode(0);
  }));
  PetscCall(MatDenseRestoreArrayWrite(Y, &out));
  PetscCall(MatDenseRestoreArrayRead(X, &in));
  PetscFunctionReturn(PetscErrorCode(0));
}

// ---- the solver around it -----------------------------------------------------------------------

PetscErrorCode is_any_of(KSP ksp, const std::vector<const char*>& types, bool* answer) {
  *answer = false;
  PetscFunctionBegin;
  for (const char* type : types) {
    PetscBool same;
    PetscCall(PetscObjectTypeCompare((PetscObject)ksp, type, &same));
    *answer = *answer || same;
  }
  PetscFunctionReturn(PetscErrorCode(0));
}

// Solvers that allow the preconditioner to change between iterations.
const std::vector<const char*> flexible{KSPFGMRES,  KSPPIPEFGMRES, KSPGCR,   KSPPIPEGCR,
                                        KSPFCG,     KSPPIPEFCG,    KSPFBCGS, KSPFBCGSR,
                                        KSPPREONLY, KSPRICHARDSON};
const std::vector<const char*> need_positive{
    KSPCG,      KSPGROPPCG, KSPPIPECG, KSPPIPECGRR, KSPPIPELCG, KSPPIPEPRCG, KSPPIPECG2, KSPFCG,
    KSPPIPEFCG, KSPNASH,    KSPSTCG,   KSPGLTR,     KSPMINRES,  KSPSYMMLQ,   KSPCR,      KSPPIPECR};
constexpr double least_tolerance_in_single = 1e-6;

// What this solver may not be given.
PetscErrorCode check_solver(PC pc, KSP ksp, const Multilevel& M) {
  const MPI_Comm comm = PetscObjectComm((PetscObject)pc);
  const char* solver = ((PetscObject)ksp)->type_name;
  bool is_flexible, is_cg, needs_positive;
  PetscReal tolerance;

  PetscFunctionBegin;
  PetscCall(is_any_of(ksp, flexible, &is_flexible));
  PetscCall(is_any_of(ksp, {KSPCG}, &is_cg));  // its residual does not come from M
  PetscCall(is_any_of(ksp, need_positive, &needs_positive));
  PetscCall(KSPGetTolerances(ksp, &tolerance, nullptr, nullptr, nullptr));
  const bool multilevel = M.report().method == "multilevel";
  PetscCheck(is_flexible || !multilevel || M.params().cycle != precond::CycleKind::k, comm,
             PETSC_ERR_SUP,
             "PC mmf: cycle = k varies from one application to the next, and -ksp_type %s needs a "
             "fixed preconditioner: use -ksp_type fgmres, fcg or gcr, or -pc_mmf_cycle w",
             solver);
  PetscCheck(is_flexible || is_cg || M.params().precision == precond::Precision::working ||
                 tolerance >= least_tolerance_in_single,
             comm, PETSC_ERR_SUP,
             "PC mmf: precision = single is linear to seven digits, too few for -ksp_type %s to "
             "reach -ksp_rtol %g: use -ksp_type cg or fgmres, or -pc_mmf_precision working",
             solver, static_cast<double>(tolerance));
  PetscCheck(!needs_positive || !multilevel || M.report().coarse_negative == 0, comm, PETSC_ERR_SUP,
             "PC mmf: the matrix is indefinite, the multilevel cycle then need not be positive "
             "definite, and -ksp_type %s needs that: use -pc_mmf_method classic, or -ksp_type "
             "fgmres",
             solver);
  PetscFunctionReturn(PetscErrorCode(0));
}

PetscErrorCode PCPreSolve_MMF(PC pc, KSP ksp, Vec, Vec) {
  PetscFunctionBegin;
  if (const auto* M = std::get_if<Multilevel>(&data(pc).built))
    PetscCall(check_solver(pc, ksp, *M));
  // PETSc calls the user's function only for types without one of their own.
  if (pc->presolve) PetscCall(pc->presolve(pc, ksp));
  PetscFunctionReturn(PetscErrorCode(0));
}

// ---- options ------------------------------------------------------------------------------------

// PetscOptionItems* in PETSc 3.18, a type of its own in later ones.
template <class Items>
Items second_argument(PetscErrorCode (*)(PC, Items));
using OptionItems = decltype(second_argument(_PCOps{}.setfromoptions));

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

// The words that PETSc takes for a logical value; an option without a value is true.
std::string logical(const std::string& text) {
  const std::string word = lower(text);
  if (word.empty() || word == "yes" || word == "on" || word == "1") return "true";
  if (word == "no" || word == "off" || word == "0") return "false";
  return word;
}

// Read as text whatever the kind, so that a wrong value is refused in one place, with what is
// allowed.
PetscErrorCode read_option(PC pc, OptionItems PetscOptionsObject, const Field<PcMmf>& option) {
  const std::string name = "-pc_mmf_" + option.name, now = option.text(data(pc));
  const std::string help = option.doc + " Allowed: " + option.allowed();
  const bool is_number = option.kind == Kind::integer || option.kind == Kind::real;
  char text[256];
  PetscBool given;

  PetscFunctionBegin;
  PetscCall(PetscOptionsString(name.c_str(), help.c_str(), "PCMMF", now.c_str(), text, sizeof(text),
                               &given));
  if (!given) PetscFunctionReturn(PetscErrorCode(0));
  const auto set = [&] {
    option.set(data(pc), option.kind == Kind::boolean ? logical(text) : std::string(text));
    return PetscErrorCode(0);
  };
  PetscCall(guarded(pc, set, is_number ? PETSC_ERR_ARG_OUTOFRANGE : PETSC_ERR_ARG_WRONG));
  PetscFunctionReturn(PetscErrorCode(0));
}

// An option that has no effect with this method is refused too.
void check_name(const std::string& name, bool classic) {
  find_field(options().all(), name);
  const auto& others = options().of(!classic);
  const bool is_other = std::any_of(others.begin(), others.end(),
                                    [&](const Field<PcMmf>& f) { return f.name == name; });
  require(!is_other, name, classic ? " is not" : " is",
          " a parameter of method = classic; the method is ",
          classic ? "classic" : "another: give -pc_mmf_method classic too");
}

// PETSc ignores options that nobody asks for: a misspelt one would mean the default.
PetscErrorCode refuse_unknown_options(PC pc) {
  PetscOptions database;
  const char* prefix;
  char* all;

  PetscFunctionBegin;
  PetscCall(PetscObjectGetOptions((PetscObject)pc, &database));
  PetscCall(PCGetOptionsPrefix(pc, &prefix));
  PetscCall(PetscOptionsGetAll(database, &all));
  std::istringstream words(lower(all));  // PETSc does not tell upper from lower case either
  PetscCall(PetscFree(all));
  const std::string start = lower(concat("-", prefix ? prefix : "", "pc_mmf_"));
  for (std::string word; words >> word;)
    if (word.rfind(start, 0) == 0) check_name(word.substr(start.size()), data(pc).classic);
  PetscFunctionReturn(PetscErrorCode(0));
}

// All but reuse_rotations, which changes the next setup only.
std::vector<double> values_of(const PcMmf& mmf) {
  std::vector<double> values;
  for (const auto& option : options().all())
    if (option.name != "reuse_rotations") values.push_back(option.get(mmf));
  return values;
}

PetscErrorCode read_options(PC pc, OptionItems PetscOptionsObject) {
  PcMmf& mmf = data(pc);
  const std::vector<double> before = values_of(mmf);

  PetscFunctionBegin;
  PetscOptionsHeadBegin(PetscOptionsObject, "MMF options");
  for (const auto& option : options().all()) PetscCall(read_option(pc, PetscOptionsObject, option));
  PetscOptionsHeadEnd();
  PetscCall(refuse_unknown_options(pc));
  precond::check(mmf.multilevel);
  mmf::check(mmf.factorization);
  if (values_of(mmf) != before) {  // the next solve sets up anew, with the new parameters
    mmf.built = Nothing();
    pc->setupcalled = PETSC_FALSE;
  }
  PetscFunctionReturn(PetscErrorCode(0));
}

PetscErrorCode PCSetFromOptions_MMF(PC pc, OptionItems PetscOptionsObject) {
  PetscFunctionBegin;
  PetscCall(guarded(pc, [&] { return read_options(pc, PetscOptionsObject); }));
  PetscFunctionReturn(PetscErrorCode(0));
}

// ---- view ---------------------------------------------------------------------------------------

std::string megabytes(std::size_t bytes) {
  std::ostringstream out;
  out << std::fixed << std::setprecision(2) << static_cast<double>(bytes) / 1e6 << " MB";
  return out.str();
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

void write_levels(std::ostream& out, const Multilevel& M) {
  if (M.report().levels.empty()) return;
  out << "level       rows        nnz  clusters  lifted  P per row  factor/nnz         MB    "
         "seconds\n";
  for (const auto& s : M.report().levels)
    out << std::setw(5) << s.level << std::setw(11) << s.rows << std::setw(11) << s.nnz
        << std::setw(10) << s.clusters << std::setw(8) << (s.lifted ? "yes" : "no") << std::fixed
        << std::setprecision(2) << std::setw(11) << s.prolongation << std::setw(12) << s.factor
        << std::setw(11) << static_cast<double>(s.bytes) / 1e6 << std::setprecision(3)
        << std::setw(11) << s.seconds << std::defaultfloat << "\n";
}

void write_levels(std::ostream& out, const Classic& classic) {
  out << "level       rows        nnz  clusters  rotations    retired    dropped         MB    "
         "seconds\n";
  for (const auto& s : classic.F.factors().stages)
    out << std::setw(5) << s.level << std::setw(11) << s.rows << std::setw(11) << s.nnz
        << std::setw(10) << s.clusters << std::setw(11) << s.rotations << std::setw(11) << s.retired
        << std::scientific << std::setprecision(2) << std::setw(11) << s.dropped << std::fixed
        << std::setw(11) << static_cast<double>(s.bytes) / 1e6 << std::setprecision(3)
        << std::setw(11) << s.seconds << std::defaultfloat << "\n";
}

void write_levels(std::ostream&, Nothing) {}

void write_reused(std::ostream& out, const PcMmf& mmf) {
  out << "rotations reused: " << mmf.reused << " times since they were computed\n";
}

void write_summary(std::ostream& out, const PcMmf& mmf, const Multilevel& M) {
  const precond::Report& report = M.report();
  std::size_t bytes = 0;
  for (const auto& level : report.levels) bytes += level.bytes;
  out << "method " << report.method << (report.reason.empty() ? "" : ": ") << report.reason << "\n";
  if (report.levels.empty()) return;
  const auto levels = report.levels.size();
  if (levels > 1) out << "near-nullspace: " << mmf.modes << "\n";
  out << levels << (levels == 1 ? " level" : " levels");
  if (report.coarse_rows > 0)
    out << ", dense solve of " << report.coarse_rows << " rows (" << report.coarse_nullity
        << " zero and " << report.coarse_negative << " negative eigenvalues)";
  out << "\n";
  out << "operator complexity " << std::fixed << std::setprecision(2) << report.operator_complexity
      << ", grid complexity " << report.grid_complexity << ", " << megabytes(bytes) << ", "
      << std::setprecision(3) << report.seconds << " s\n";
  write_reused(out, mmf);
}

void write_summary(std::ostream& out, const PcMmf& mmf, const Classic& classic) {
  const auto& F = classic.F.factors();
  out << F.stages.size() << " levels, core of " << classic.F.core_size() << " rows, stopped by "
      << mmf::name(F.stop) << "\n";
  out << "relative Frobenius error " << std::setprecision(3)
      << (F.norm > 0 ? F.dropped / F.norm : 0.0) << ", "
      << megabytes(classic.F.bytes() + classic.M.bytes() - F.Q->bytes()) << "\n";
  write_reused(out, mmf);
}

void write_summary(std::ostream&, const PcMmf&, Nothing) {}

std::string description(const PcMmf& mmf, bool with_levels) {
  std::ostringstream out;
  write_params(out, mmf);
  std::visit(
      [&](const auto& M) {
        if (with_levels) write_levels(out, M);
        write_summary(out, mmf, M);
      },
      mmf.built);
  return out.str();
}

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

// ---- life ---------------------------------------------------------------------------------------

PetscErrorCode PCReset_MMF(PC pc) {
  PetscFunctionBegin;
  data(pc).built = Nothing();
  PetscFunctionReturn(PetscErrorCode(0));
}

PetscErrorCode PCDestroy_MMF(PC pc) {
  PetscFunctionBegin;
  delete static_cast<PcMmf*>(pc->data);
  pc->data = nullptr;
  PetscFunctionReturn(PetscErrorCode(0));
}

PetscErrorCode PCCreate_MMF(PC pc) {
  PetscFunctionBegin;
  pc->data = new (std::nothrow) PcMmf;
  PetscCheck(pc->data, PETSC_COMM_SELF, PETSC_ERR_MEM, "PC mmf: out of memory");
  pc->ops->setup = PCSetUp_MMF;
  pc->ops->apply = PCApply_MMF;
  pc->ops->applytranspose = PCApply_MMF;
  pc->ops->matapply = PCMatApply_MMF;
  pc->ops->presolve = PCPreSolve_MMF;
  pc->ops->setfromoptions = PCSetFromOptions_MMF;
  pc->ops->view = PCView_MMF;
  pc->ops->reset = PCReset_MMF;
  pc->ops->destroy = PCDestroy_MMF;
  PetscFunctionReturn(PetscErrorCode(0));
}

}  // namespace
}  // namespace pympf

// PETSc calls this when it loads the library; pympf.petsc.register() does so for petsc4py.
PETSC_EXTERN PetscErrorCode PetscDLLibraryRegister_pympf_petsc(void) {
  PetscInt major, minor;

  PetscFunctionBegin;
  PetscCall(PetscGetVersionNumber(&major, &minor, nullptr, nullptr));
  // The layout of a PC changes between minor versions.
  PetscCheck(major == PETSC_VERSION_MAJOR && minor == PETSC_VERSION_MINOR, PETSC_COMM_SELF,
             PETSC_ERR_SUP,
             "libpympf_petsc.so was built for PETSc %d.%d, this program runs PETSc %" PetscInt_FMT
             ".%" PetscInt_FMT ": build pympf with the PETSC_DIR of this program",
             PETSC_VERSION_MAJOR, PETSC_VERSION_MINOR, major, minor);
  PetscCall(PCRegister("mmf", pympf::PCCreate_MMF));
  PetscFunctionReturn(PetscErrorCode(0));
}
