#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "daguerre/core/processors.hpp"
#include "daguerre/core/shape.hpp"

namespace daguerre::evaluation {

/// The processes that share one job (torch.distributed's process group, MPI's communicator). All of them run
/// the same program, see the same files, and call the functions below in the same order; results lie in
/// files, a chunk each, so that they depend neither on how many processes there are nor on which made what.
/// One process alone is a group, too (`alone`); MPI's is made by the program (examples/cli).
class ProcessGroup {
 public:
  virtual ~ProcessGroup() = default;

  virtual int rank() const noexcept = 0;  ///< of this process, from 0, which speaks and writes what is joined
  virtual int size() const noexcept = 0;
  /// How many of them run on this process's machine, itself among them: they share its memory.
  virtual int size_here() const noexcept { return 1; }
  /// This process's share of its machine's processors: what `threads` is where nobody says.
  virtual int threads() const noexcept { return available_threads(); }
  /// Calls `work(i)` for every i of [0, count), each in one process only and begun in order: whoever is free
  /// takes the next. Returns in all processes when all have returned. `count` is the same in all of them.
  /// What `work` throws comes out of it in that process; the others must then be ended by whoever started
  /// the group.
  virtual void share_out(Index count, const std::function<void(Index)>& work) = 0;
  /// Waits for all.
  virtual void barrier() = 0;
  /// What rank 0 gives, in all processes.
  virtual std::string broadcast(std::string text) = 0;
};

/// Shares out those numbers that rank 0 gives; what the others give does not count.
void share_out(ProcessGroup& group, const std::vector<Index>& items, const std::function<void(Index)>& work);

/// This process alone.
std::unique_ptr<ProcessGroup> alone();

}  // namespace daguerre::evaluation
