#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <vector>

#include "daguerre/ops/context.hpp"
#include "daguerre/ops/weight_source.hpp"
#include "ops/engines/native/winograd_kernels.hpp"

/// Weights of 3 x 3 convolutions as Winograd's kernels read them.
namespace daguerre::ops {

/// Groups of output channels, `[in][9][outputs]`, filled up with zeros: packed or, where weights are mapped,
/// made when they are wanted. They are transformed at each product, which takes a quarter of the memory of
/// transformed ones. Weights that a file has in binary16 or bfloat16 stay so.
template <class T>
class WinogradWeights {
 public:
  /// `weight[out, in, 3, 3]`, rounded to T.
  WinogradWeights(const Context& context, const Weight& weight, const kernels::WinogradKernels& kernels);

  /// How a number is stored.
  DType dtype() const noexcept { return dtype_; }
  Index groups() const noexcept { return (out_ + kernels_->outputs - 1) / kernels_->outputs; }
  bool is_mapped() const noexcept { return source_.has_value(); }
  void release() const noexcept {
    if (source_) source_->release();
  }

  /// All groups, for as long as this object lives: of mapped weights a copy.
  class All {
   public:
    All(const Context& context, const WinogradWeights& weights);
    const std::byte* group(Index index) const noexcept { return data_ + index * group_bytes_; }

   private:
    std::shared_ptr<std::byte> made_;
    const std::byte* data_;
    Index group_bytes_;
  };

  /// Groups one after the other, for one thread. The group before is overwritten.
  class Maker {
   public:
    Maker(const Context& context, const WinogradWeights& weights);
    const std::byte* group(Index index);

   private:
    const WinogradWeights& weights_;
    Tensor<T> rows_;
    std::shared_ptr<std::byte> made_;
  };

 private:
  Index group_bytes() const noexcept {
    return kernels_->outputs * row_size_ * static_cast<Index>(size_of(dtype_));
  }
  /// Rows of T for one group, where they are read first.
  Tensor<T> rows(const Context& context) const;
  void write(const Weight& weight, Index group, Tensor<T>& rows, std::byte* to) const;
  void write_all(const Context& context, const Weight& weight, std::byte* to) const;

  const kernels::WinogradKernels* kernels_;
  Index out_, row_size_;
  DType dtype_;
  bool is_stored_;  ///< in the file as it is kept
  std::shared_ptr<std::byte> packed_;
  std::optional<Weight> source_;
};

}  // namespace daguerre::ops
