#pragma once

#include <Eigen/Core>

#include "daguerre/core/tensor.hpp"

namespace daguerre {

/// A tensor seen as an Eigen matrix, row-major: all axes but the last are rows.
template <class T>
using MatrixMap = Eigen::Map<Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>>;
template <class T>
using ConstMatrixMap = Eigen::Map<const Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>>;
/// A tensor seen as a flat Eigen array, for element-wise arithmetic.
template <class T>
using ArrayMap = Eigen::Map<Eigen::Array<T, Eigen::Dynamic, 1>>;
template <class T>
using ConstArrayMap = Eigen::Map<const Eigen::Array<T, Eigen::Dynamic, 1>>;

/// `[..., C]` as a matrix of `size / C` rows and C columns. The map borrows the tensor's elements.
template <class T>
MatrixMap<T> matrix(Tensor<T>& tensor) {
  const Index columns = tensor.rank() == 0 ? 1 : tensor.dim(-1);
  return {tensor.data(), columns == 0 ? 0 : tensor.size() / columns, columns};
}
template <class T>
ConstMatrixMap<T> matrix(const Tensor<T>& tensor) {
  const Index columns = tensor.rank() == 0 ? 1 : tensor.dim(-1);
  return {tensor.data(), columns == 0 ? 0 : tensor.size() / columns, columns};
}

/// All elements as one array. The map borrows the tensor's elements.
template <class T>
ArrayMap<T> array(Tensor<T>& tensor) {
  return {tensor.data(), tensor.size()};
}
template <class T>
ConstArrayMap<T> array(const Tensor<T>& tensor) {
  return {tensor.data(), tensor.size()};
}
/// Elements [begin, end) of the leading axis as one array.
template <class T>
ArrayMap<T> array(Tensor<T>& tensor, Index begin, Index end) {
  const Index stride = tensor.shape().tail().size();
  return {tensor.data() + begin * stride, (end - begin) * stride};
}

}  // namespace daguerre
