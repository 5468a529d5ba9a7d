#pragma once

#include <span>

#include "daguerre/weights/adapter_file.hpp"
#include "daguerre/weights/checkpoint.hpp"

namespace daguerre::weights {

/// An adapter file and how much of it each part gets; negative strengths take it away.
struct AdapterUse {
  AdapterFile file;
  float denoiser = 1;
  float text_encoders = 1;
};

/// A checkpoint whose parts have adapters applied, one after the other, as they are read. It no longer has
/// the tensors of the file that it came from under their own names (`Checkpoint::file`). Throws WeightError
/// for an adapter that does not fit (see AdapterFile::match), that changes a part which the checkpoint does
/// not hold, or that asks for another configuration, as control adapters do; ArgumentError for strengths that
/// are not finite.
Checkpoint with_adapters(const Checkpoint& model, std::span<const AdapterUse> adapters);

}  // namespace daguerre::weights
