#pragma once

#include <string>
#include <utility>
#include <vector>

#include "daguerre/weights/adapter_file.hpp"
#include "weights/adapters/deltas.hpp"
#include "weights/adapters/keys.hpp"
#include "weights/adapters/targets.hpp"

namespace daguerre::weights::adapters {

/// What a module makes of one tensor of a network.
struct Change {
  std::string tensor;
  DeltaPointer delta;
};

/// What modules do to one network.
class Changes {
 public:
  /// `remark` is put behind messages.
  Changes(const Targets& targets, const AdapterOptions& options, std::string source, std::string remark)
      : targets_(targets), options_(options), source_(std::move(source)), remark_(std::move(remark)) {}

  /// Adds the module's keys that have no place in the network.
  void unplaced(const Module& module, std::vector<std::string>& keys) const;
  /// What those that have one change. Throws WeightError, naming the source and a key, for factors that are
  /// missing and for such as do not fit each other or the network.
  std::vector<Change> of(const Module& module) const;

 private:
  const Targets& targets_;
  const AdapterOptions& options_;
  std::string source_, remark_;
};

}  // namespace daguerre::weights::adapters
