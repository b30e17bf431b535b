// PETSc keeps the rows of one process as a SeqAIJ, and those of a rank of several as two: own
// columns, and the columns of other ranks ("ghosts"), compressed, with an ascending list of their
// global numbers. The first is used where it lies; the two are merged into one copy. What is stored
// in another way (MPIBAIJ, MPISBAIJ with its one triangle, ...) PETSc converts to these first.
#include "matrix.hpp"

#include <algorithm>
#include <cmath>

#include "errors.hpp"
#include "pympf/la/sparse.hpp"

namespace pympf {
namespace {

using Rows = CsrView<PetscScalar>;

// ---- what PETSc has -----------------------------------------------------------------------------

// A new reference to A if it is stored by rows, else a copy in that form.
PetscErrorCode as_aij(Mat A, bool alone, Mat* aij) {
  PetscBool is_seq, is_mpi;

  PetscFunctionBegin;
  PetscCall(PetscObjectBaseTypeCompare((PetscObject)A, MATSEQAIJ, &is_seq));
  PetscCall(PetscObjectBaseTypeCompare((PetscObject)A, MATMPIAIJ, &is_mpi));
  if (is_seq || is_mpi) {
    PetscCall(PetscObjectReference((PetscObject)A));
    *aij = A;
  } else {
    PetscCall(MatConvert(A, alone ? MATSEQAIJ : MATMPIAIJ, MAT_INITIAL_MATRIX, aij));
  }
  PetscFunctionReturn(PetscErrorCode(0));
}

// The arrays of a SeqAIJ.
struct Block {
  Mat mat = nullptr;
  PetscInt rows = 0, cols = 0;
  const PetscInt *indptr = nullptr, *indices = nullptr;
  const PetscScalar* values = nullptr;

  PetscErrorCode open(Mat A) {
    PetscBool done;
    PetscFunctionBegin;
    PetscCall(MatGetSize(A, nullptr, &cols));
    PetscCall(MatGetRowIJ(A, 0, PETSC_FALSE, PETSC_FALSE, &rows, &indptr, &indices, &done));
    PetscCheck(done, PETSC_COMM_SELF, PETSC_ERR_SUP, "PC mmf: the rows of a %s are not accessible",
               ((PetscObject)A)->type_name);
    PetscCall(MatSeqAIJGetArrayRead(A, &values));
    mat = A;
    PetscFunctionReturn(PetscErrorCode(0));
  }

  PetscErrorCode close() {
    PetscBool done;
    PetscFunctionBegin;
    if (!mat) PetscFunctionReturn(PetscErrorCode(0));
    PetscCall(MatSeqAIJRestoreArrayRead(mat, &values));
    PetscCall(MatRestoreRowIJ(mat, 0, PETSC_FALSE, PETSC_FALSE, &rows, &indptr, &indices, &done));
    mat = nullptr;
    PetscFunctionReturn(PetscErrorCode(0));
  }
};

struct Source {
  Mat aij = nullptr;
  Block own, ghosts;
  const PetscInt* columns = nullptr;  // of the ghosts
  Layout layout;

  PetscErrorCode open(Mat A, const Communicator& comm) {
    const bool alone = comm.size() == 1;
    const PetscInt* starts;
    PetscBool is_seq;
    Mat diagonal, off_diagonal;

    PetscFunctionBegin;
    PetscCall(as_aij(A, alone, &aij));
    PetscCall(MatGetOwnershipRanges(aij, &starts));
    layout.starts.assign(starts, starts + comm.size() + 1);
    layout.rank = comm.rank();
    PetscCall(PetscObjectBaseTypeCompare((PetscObject)aij, MATSEQAIJ, &is_seq));
    if (is_seq) {
      PetscCall(own.open(aij));
    } else {
      PetscCall(MatMPIAIJGetSeqAIJ(aij, &diagonal, &off_diagonal, &columns));
      PetscCall(own.open(diagonal));
      if (!alone) PetscCall(ghosts.open(off_diagonal));
    }
    PetscFunctionReturn(PetscErrorCode(0));
  }

  PetscErrorCode close() {
    PetscFunctionBegin;
    PetscCall(own.close());
    PetscCall(ghosts.close());
    PetscCall(MatDestroy(&aij));
    PetscFunctionReturn(PetscErrorCode(0));
  }
};

// ---- as the engine takes it ---------------------------------------------------------------------

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

struct IndexCopies {
  std::vector<Index> indptr, indices;
};

Rows rows_of(const Block& block, IndexCopies& copies) {
  Rows A{to_index(block.rows, "rows of the matrix"), to_index(block.cols, "columns of the matrix"),
         nullptr, nullptr, block.values};
  A.indptr = as_index(block.indptr, static_cast<std::size_t>(block.rows) + 1, copies.indptr);
  A.indices = as_index(block.indices, A.nnz(), copies.indices);
  for (Index i = 0; i < A.rows; ++i)
    for (Index p = A.indptr[i]; p < A.indptr[i + 1]; ++p)
      require(A.indices[p] >= 0 && A.indices[p] < A.cols, "expected column indices from 0 to ",
              A.cols - 1, ", got ", A.indices[p], " in row ", i);
  return A;
}

bool rows_ascend(const Rows& A) {
  for (Index i = 0; i < A.rows; ++i)
    for (Index p = A.indptr[i] + 1; p < A.indptr[i + 1]; ++p)
      if (A.indices[p - 1] >= A.indices[p]) return false;
  return true;
}

// Rows sorted, entries stored twice summed: arrays handed to MatCreateSeqAIJWithArrays() may come
// unsorted.
Csr<PetscScalar> canonical(const Rows& A) {
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

// Columns in the order of their global numbers: ghosts of the ranks before, own ones, ghosts of
// those behind.
void set_columns(const PetscInt* ghosts, Index count, Matrix& A) {
  A.shift = static_cast<Index>(std::lower_bound(ghosts, ghosts + count, A.layout.first()) - ghosts);
  A.columns.assign(ghosts, ghosts + A.shift);
  for (Global j = A.layout.first(); j < A.layout.last(); ++j) A.columns.push_back(j);
  A.columns.insert(A.columns.end(), ghosts + A.shift, ghosts + count);
}

Csr<PetscScalar> merged(const Rows& own, const Rows& ghosts, Index shift) {
  const Global count = Global{own.nnz()} + ghosts.nnz();
  Csr<PetscScalar> out{
      own.rows, to_index(Global{own.cols} + ghosts.cols, "columns of one process"), {0}, {}, {}};
  to_index(count, "entries of the rows of one process");
  out.indptr.reserve(static_cast<std::size_t>(own.rows) + 1);
  out.indices.reserve(count);
  out.data.reserve(count);
  const auto add = [&](const Rows& from, Index p, Index first_column) {
    out.indices.push_back(first_column + from.indices[p]);
    out.data.push_back(from.data[p]);
  };
  for (Index i = 0; i < own.rows; ++i) {
    const Index end = ghosts.indptr[i + 1];
    for (Index p = ghosts.indptr[i]; p < end; ++p)
      if (ghosts.indices[p] < shift) add(ghosts, p, 0);
    for (Index p = own.indptr[i]; p < own.indptr[i + 1]; ++p) add(own, p, shift);
    for (Index p = ghosts.indptr[i]; p < end; ++p)
      if (ghosts.indices[p] >= shift) add(ghosts, p, own.cols);
    out.indptr.push_back(static_cast<Index>(out.indices.size()));
  }
  return out;
}

void check_finite(const Matrix& A) {
  for (Index i = 0; i < A.rows.rows; ++i)
    for (Index p = A.rows.indptr[i]; p < A.rows.indptr[i + 1]; ++p)
      require(std::isfinite(A.rows.data[p]), "expected finite entries, got ", A.rows.data[p],
              " at i = ", A.layout.first() + i, ", j = ", A.column(A.rows.indices[p]));
}

// `copies` lives as long as the result.
Matrix matrix_of(const Source& source, const Communicator& comm, IndexCopies& copies) {
  Matrix A;
  A.comm = comm;
  A.layout = source.layout;
  A.rows = rows_of(source.own, copies);
  require(A.rows.rows == A.rows.cols, "expected as many columns as rows on each rank, got ",
          A.rows.cols, " columns and ", A.rows.rows, " rows");
  if (comm.size() > 1) {
    IndexCopies ghost_copies;
    const Rows ghosts = rows_of(source.ghosts, ghost_copies);
    set_columns(source.columns, ghosts.cols, A);
    A.storage = merged(A.rows, ghosts, A.shift);
    A.rows = A.storage.view();
  }
  if (!rows_ascend(A.rows)) {
    A.storage = canonical(A.rows);
    A.rows = A.storage.view();
  }
  check_finite(A);
  return A;
}

// For the preconditioner of a matrix that is not symmetric.
Matrix as_it_is(const Matrix& A) {
  Matrix out = with_symmetric_pattern(A);
  out.general = true;
  return out;
}

std::string otherwise(PC pc) {
  const bool has_other = pc->mat != pc->pmat && !pc->useAmat;
  return concat("give a symmetric one as the second matrix of KSPSetOperators(), ",
                has_other ? "or -pc_use_amat, which builds from the first one, " : "",
                "or take another -pc_type");
}

}  // namespace

PetscErrorCode check_operator(Mat A) {
  PetscInt m, n;
  PetscBool assembled, matrix_free;

  PetscFunctionBegin;
  PetscCall(MatGetSize(A, &m, &n));
  PetscCheck(m == n, PetscObjectComm((PetscObject)A), PETSC_ERR_ARG_SIZ,
             "PC mmf expects a square matrix, got %" PetscInt_FMT " rows and %" PetscInt_FMT
             " columns",
             m, n);
  PetscCall(MatAssembled(A, &assembled));
  PetscCheck(assembled, PetscObjectComm((PetscObject)A), PETSC_ERR_ARG_WRONGSTATE,
             "PC mmf expects an assembled matrix: call MatAssemblyBegin() and MatAssemblyEnd()");
  // PETSc would convert these by n products with unit vectors.
  PetscCall(PetscObjectTypeCompareAny((PetscObject)A, &matrix_free, MATSHELL, MATMFFD, MATPYTHON,
                                      nullptr));
  PetscCheck(!matrix_free, PetscObjectComm((PetscObject)A), PETSC_ERR_SUP,
             "PC mmf needs the entries of the matrix, and one of type %s has none: give an "
             "assembled matrix as the second one of KSPSetOperators()",
             ((PetscObject)A)->type_name);
  PetscFunctionReturn(PetscErrorCode(0));
}

PetscErrorCode with_rows(PC pc, const std::function<PetscErrorCode(const Matrix&)>& body) {
  const Communicator& comm = data(pc).comm;
  Source source;
  IndexCopies copies;
  Matrix A;

  PetscFunctionBegin;
  PetscCall(source.open(source_of(pc), comm));
  PetscErrorCode failure = guarded_collectively(pc, [&] {
    A = matrix_of(source, comm, copies);
    return PetscErrorCode(0);
  });
  if (comm.size() > 1) PetscCall(source.close());  // all is copied
  if (!failure)
    failure = guarded(pc, [&] {
      const auto given = std::make_shared<Matrix>(std::move(A));
      const auto admission = admit(given);
      data(pc).remark = is_classic(data(pc)) ? "" : admission.remark();
      if (!admission.rows && !is_classic(data(pc))) return body(as_it_is(*given));
      require(admission.rows != nullptr, admission.refusal(otherwise(pc)));
      data(pc).determined = admission.determined;
      return body(*admission.rows);
    });
  PetscCall(source.close());
  PetscCall(failure);
  PetscFunctionReturn(PetscErrorCode(0));
}

}  // namespace pympf
