#pragma once

#include <memory>

#include <daguerre/evaluation/process_group.hpp>

namespace daguerre::cli {

/// The processes that mpirun or srun started together, of which this is one; alone where it was started by
/// itself, in which case MPI is not touched. Throws Error where several were started that cannot find each
/// other: a program without MPI, or with another one than that of mpirun.
std::unique_ptr<evaluation::ProcessGroup> started_processes();

/// Ends all processes of the group with that status, this one, too. Returns where there is no other.
void end_all(evaluation::ProcessGroup& group, int status);

}  // namespace daguerre::cli
