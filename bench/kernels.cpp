// The yardsticks of the benchmarks, called through ctypes: the product that one application of a
// factorization is compared with, and the speed at which memory can be streamed.
#include "pympf/la/csr.hpp"

extern "C" {

void bench_spmv(pympf::Index rows, const pympf::Index* indptr, const pympf::Index* indices,
                const double* data, const double* x, double* y) {
  pympf::spmv(pympf::CsrView<double>{rows, rows, indptr, indices, data}, x, y);
}

// a = b + s c (McCalpin's STREAM): 24 bytes for each of n numbers.
void bench_triad(long n, double s, const double* b, const double* c, double* a) {
#pragma omp parallel for schedule(static) if (n >= 32768)
  for (long i = 0; i < n; ++i) a[i] = b[i] + s * c[i];
}
}
