#include "daguerre/weights/tensor_file.hpp"

namespace daguerre::weights {

Tensor<float> TensorFile::floats(const TensorInfo& info, const MemoryPool* pool) const {
  auto result = pool == nullptr ? Tensor<float>(info.shape) : Tensor<float>(info.shape, *pool);
  auto source = weight(info);
  if (source.shape.rank() == 0) source.shape = {1};
  const ops::Weight stored(std::move(source));
  stored.read(0, stored.rows(), result.data());
  return result;
}

std::optional<TensorInfo> TensorFile::supply(std::string_view /*name*/, const Shape& /*shape*/) const {
  return std::nullopt;
}

}  // namespace daguerre::weights
