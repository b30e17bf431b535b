"""Spack package: `spack repo add tools/packaging/spack`, `spack install py-pmmf+mpi+petsc`."""

from spack.package import *  # noqa: F403
from spack_repo.builtin.build_systems.python import PythonPackage


class PyPmmf(PythonPackage):
    """Multiresolution matrix factorization: factor, solve and precondition large sparse matrices."""

    homepage = "https://github.com/pympf/pympf"
    pypi = "pmmf/pmmf-0.1.0.tar.gz"
    git = "https://github.com/pympf/pympf.git"

    license("BSD-3-Clause")

    version("main", branch="main")
    version("0.1.0", sha256="0" * 64)  # of the published archive

    variant("mpi", default=True, description="Factorizations and solvers over MPI ranks")
    variant("petsc", default=False, description="The PETSc preconditioner type mmf")
    variant("superlu", default=True, description="Sparse LU of indefinite matrices")
    conflicts("+petsc", when="~mpi", msg="the PETSc plugin needs MPI")

    depends_on("c", type="build")
    depends_on("cxx", type="build")
    depends_on("cmake@3.18:", type="build")
    depends_on("pkgconfig", type="build")
    depends_on("python@3.10:", type=("build", "link", "run"))
    depends_on("py-scikit-build-core@0.11:", type="build")
    depends_on("py-cython@3.0:3", type="build")
    depends_on("py-pybind11@2.13:", type="build")
    depends_on("py-hatch-fancy-pypi-readme@24.1:", type="build")
    depends_on("py-numpy@1.24:", type=("build", "run"))
    depends_on("py-scipy@1.12:", type=("build", "run"))
    depends_on("py-h5py@3.8:", type=("build", "run"))
    depends_on("blas")
    depends_on("lapack")
    depends_on("superlu", when="+superlu")
    depends_on("mpi", when="+mpi")
    depends_on("py-mpi4py@3.1:", when="+mpi", type=("build", "run"))
    depends_on("petsc@3.18:+mpi~complex+double", when="+petsc")
    depends_on("py-petsc4py@3.18:", when="+petsc", type="run")

    def config_settings(self, spec, prefix):
        """Tell CMake what is in; what is not named is not looked for."""
        return {
            f"cmake.define.PYMPF_WITH_{part.upper()}": "ON" if spec.satisfies(f"+{part}") else "OFF"
            for part in ("mpi", "petsc", "superlu")
        }

    def setup_build_environment(self, env):
        """Name the one MPI and PETSc that the configuration may find."""
        if self.spec.satisfies("+mpi"):
            env.set("MPICXX", self.spec["mpi"].mpicxx)
        if self.spec.satisfies("+petsc"):
            env.set("PETSC_DIR", self.spec["petsc"].prefix)
