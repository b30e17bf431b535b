"""The multilevel preconditioner, the twin of cpp/pympf/precond.

Everything is dense and loops over the rows: meant for a few hundred of them. The order of all
choices and the breaking of ties are those of the C++ code, so that both find the same hierarchy.

============================  ===================================================
docs/preconditioner.md        code
============================  ===================================================
T-chain (3)                   `couplings.couplings`, `.contract`: W
stars (4)                     `couplings.cluster`
rotation (5), lifting (6)     `transfer.rotate`, `.lifted_prolongation`: Q, P
truncation (7)                `transfer.truncate`
guards (8), Galerkin (9)      `setup.setup`, `.coarsen`
smoothers, cycle (10)         `smoother.smoother`, `setup.Hierarchy.apply`
============================  ===================================================
"""
