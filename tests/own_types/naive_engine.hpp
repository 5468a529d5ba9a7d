#pragma once

#include <cmath>
#include <memory>
#include <vector>

#include <daguerre/ops/engine-inl.hpp>

/// An engine as short as one can be: loops, sums in double, for whatever converts to and from float.
namespace host {

namespace ops = daguerre::ops;
using daguerre::Index;
using daguerre::Tensor;

/// All of `weight`, as T.
template <class T>
Tensor<T> whole(const ops::Weight& weight) {
  Tensor<T> result(weight.shape());
  weight.read(0, weight.rows(), result.data());
  return result;
}

/// `sums` as the layers below give them: with the activation, then with the residual.
inline Tensor<float> finished(const ops::Context& context, Tensor<float> sums, ops::Activation activation,
                              const Tensor<float>* residual) {
  if (activation != ops::Activation::none) sums = ops::activate(context, sums, activation);
  return residual == nullptr ? sums : ops::add(context, sums, *residual);
}

template <class T>
class NaiveLinear final : public ops::PackedLinear<T> {
 public:
  NaiveLinear(const ops::Weight& weight, const Tensor<float>& bias, ops::Activation activation)
      : weight_(whole<T>(weight)), bias_(bias), activation_(activation) {}

  Tensor<T> operator()(const ops::Context& context, const Tensor<T>& x) const override {
    return accumulate(context, x, nullptr).template to<T>();
  }
  Tensor<float> accumulate(const ops::Context& context, const Tensor<T>& x,
                           const Tensor<float>* residual) const override {
    const Index out = weight_.dim(0), in = weight_.dim(1), rows = x.size() / in;
    Tensor<float> y(x.shape().with(-1, out));
    for (Index row = 0; row < rows; ++row)
      for (Index o = 0; o < out; ++o) {
        double sum = bias_.empty() ? 0.0 : static_cast<double>(bias_.data()[o]);
        for (Index i = 0; i < in; ++i)
          sum +=
              static_cast<double>(weight_.data()[o * in + i]) * static_cast<double>(x.data()[row * in + i]);
        y.data()[row * out + o] = static_cast<float>(sum);
      }
    return finished(context, y, activation_, residual);
  }

 private:
  Tensor<T> weight_;
  Tensor<float> bias_;
  ops::Activation activation_;
};

template <class T>
class NaiveConv2d final : public ops::PackedConv2d<T> {
 public:
  NaiveConv2d(const ops::Weight& weight, const Tensor<float>& bias, const ops::ConvGeometry& geometry,
              ops::Activation activation)
      : weight_(whole<T>(weight)), bias_(bias), geometry_(geometry), activation_(activation) {}

  Tensor<float> operator()(const ops::Context& context, const Tensor<T>& x,
                           Tensor<float> residual) const override {
    const Index out = weight_.dim(0), height = weight_.dim(2), width = weight_.dim(3);
    Tensor<float> y({x.dim(0), geometry_.output_size(x.dim(1), height, true),
                     geometry_.output_size(x.dim(2), width, false), out});
    float* to = y.data();
    for (Index n = 0; n < y.dim(0); ++n)
      for (Index row = 0; row < y.dim(1); ++row)
        for (Index column = 0; column < y.dim(2); ++column)
          for (Index o = 0; o < out; ++o) *to++ = static_cast<float>(sum(x, n, row, column, o));
    return finished(context, y, activation_, residual.empty() ? nullptr : &residual);
  }

 private:
  double sum(const Tensor<T>& x, Index n, Index row, Index column, Index o) const {
    const Index in = weight_.dim(1), height = weight_.dim(2), width = weight_.dim(3);
    double result = bias_.empty() ? 0.0 : static_cast<double>(bias_.data()[o]);
    for (Index a = 0; a < height; ++a)
      for (Index b = 0; b < width; ++b) {
        const Index i = row * geometry_.stride - geometry_.pad_top + a;
        const Index j = column * geometry_.stride - geometry_.pad_left + b;
        if (i < 0 || i >= x.dim(1) || j < 0 || j >= x.dim(2)) continue;
        for (Index c = 0; c < in; ++c)
          result += static_cast<double>(weight_.data()[((o * in + c) * height + a) * width + b]) *
                    static_cast<double>(x.data()[((n * x.dim(1) + i) * x.dim(2) + j) * in + c]);
      }
    return result;
  }

  Tensor<T> weight_;
  Tensor<float> bias_;
  ops::ConvGeometry geometry_;
  ops::Activation activation_;
};

template <class T>
class NaiveFor : public ops::EngineFor<T> {
 public:
  std::unique_ptr<const ops::PackedLinear<T>> pack_linear(const ops::Context&, const ops::Weight& weight,
                                                          const Tensor<float>& bias,
                                                          ops::Activation activation) const override {
    return std::make_unique<NaiveLinear<T>>(weight, bias, activation);
  }
  std::unique_ptr<const ops::PackedConv2d<T>> pack_conv2d(const ops::Context&, const ops::Weight& weight,
                                                          const Tensor<float>& bias,
                                                          const ops::ConvGeometry& geometry,
                                                          ops::Activation activation) const override {
    return std::make_unique<NaiveConv2d<T>>(weight, bias, geometry, activation);
  }

  Tensor<T> attention(const ops::Context&, const ops::AttentionArguments<T>& a) const override {
    Tensor<T> y({a.query.batch, a.query.length, a.heads * a.value_width()});
    for (Index n = 0; n < a.query.batch; ++n)
      for (Index i = 0; i < a.query.length; ++i)
        for (Index head = 0; head < a.heads; ++head) attend(a, n, i, head, y);
    return y;
  }

 private:
  static double at(const ops::TokenView<T>& view, Index n, Index token, Index column) {
    return static_cast<double>(view.at(n, token)[column]);
  }
  static void attend(const ops::AttentionArguments<T>& a, Index n, Index i, Index head, Tensor<T>& y) {
    const Index width = a.query.width / a.heads, value_width = a.value_width();
    const Index key_head = head / (a.heads / a.heads_of_keys()), own = a.first_query + i;
    const Index end = a.causal ? std::min(own + 1, a.key.length) : a.key.length;
    const Index begin = a.causal && a.window > 0 ? std::max<Index>(0, own + 1 - a.window) : 0;
    std::vector<double> weights;
    double total = 0.0;
    for (Index k = begin; k < end; ++k) {
      double logit = 0.0;
      for (Index c = 0; c < width; ++c)
        logit += at(a.query, n, i, head * width + c) * at(a.key, n, k, key_head * width + c);
      logit *= static_cast<double>(a.scale);
      const auto cap = static_cast<double>(a.soft_cap);
      if (cap > 0.0) logit = cap * std::tanh(logit / cap);
      if (a.key_bias != nullptr) logit += static_cast<double>(a.key_bias->data()[n * a.key.length + k]);
      if (a.relative_bias != nullptr)
        logit += static_cast<double>(a.relative_bias->data()[(k - i + a.query.length - 1) * a.heads + head]);
      weights.push_back(std::exp(logit));  // small enough here
      total += weights.back();
    }
    for (Index c = 0; c < value_width; ++c) {
      double sum = 0.0;
      for (Index k = begin; k < end; ++k)
        sum += weights[static_cast<std::size_t>(k - begin)] * at(a.value, n, k, key_head * value_width + c);
      y.data()[((n * a.query.length + i) * a.heads + head) * value_width + c] =
          daguerre::convert<T>(sum / total);
    }
  }
};

}  // namespace host
