#pragma once

#include <cstdint>

#include "daguerre/weights/tensor_file.hpp"

namespace daguerre::weights {

/// Weights that nobody trained: any tensor that is asked for, in the shape that is asked for. For measuring a
/// network at its real size where its weights are not at hand: a picture made with them means nothing.
///
/// Matrices and convolutions are uniform, with the variance that keeps a product's (1 / inputs); vectors
/// called "weight", "scale", "gamma", "std" or "var" are ones, other vectors zeros. An element depends on the
/// seed, the tensor's name and its place alone, and is rounded to `dtype`. Nothing is stored: rows are made
/// when they are read. Of blocks are matrices whose rows hold whole ones, the rest is F16; a matrix of them
/// is made as a whole when it is asked for, of blocks that come again.
class RandomTensors final : public TensorFile {
 public:
  /// `dtype` is f32, f16, bf16, or one of blocks that `quantised` writes; ArgumentError for others.
  explicit RandomTensors(std::uint64_t seed = 0, DType dtype = DType::f16);

  const std::string& name() const noexcept override { return name_; }
  std::span<const TensorInfo> tensors() const noexcept override { return {}; }
  const std::map<std::string, std::string>& metadata() const noexcept override { return metadata_; }
  ops::WeightSource weight(const TensorInfo& info) const override;
  std::optional<TensorInfo> supply(std::string_view name, const Shape& shape) const override;

 private:
  std::uint64_t seed_;
  DType dtype_;
  std::string name_ = "(random weights)";
  std::map<std::string, std::string> metadata_;
};

}  // namespace daguerre::weights
