#pragma once

#include <string>
#include <vector>

#include "daguerre/weights/checkpoint.hpp"
#include "weights/tensor_stream.hpp"

namespace daguerre::weights {

/// A family's parts as the tensors of one file in the original layout, as they are stored. Parts that it has
/// no place for are named in `left_out`. Throws WeightError for a tensor without a place.
std::vector<StreamedTensor> single_file_tensors(const Checkpoint& model, std::vector<std::string>& left_out);

/// One part alone, without a prefix; text encoders keep transformers' names.
std::vector<StreamedTensor> single_part_tensors(const CheckpointPart& part);

}  // namespace daguerre::weights
