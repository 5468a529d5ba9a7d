#pragma once

#include <memory>

#include "daguerre/pipeline/component_registry.hpp"

namespace daguerre {

/// Text encoders that several models load from the same files, in the same precision and kept in the same
/// way: while one of the models has it, the others get that one. Not those that LoRAs change at load. Safe
/// from many threads; copies are the same.
class SharedTextEncoders {
 public:
  SharedTextEncoders();
  /// `registry`, in which every text encoder goes through here.
  ComponentRegistry in(const ComponentRegistry& registry) const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace daguerre
