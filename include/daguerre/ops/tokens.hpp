#pragma once

#include <cstdint>
#include <span>

#include "daguerre/ops/engine.hpp"

/// Rows of token sequences at other places.
namespace daguerre::ops {

/// `store[N, S, C]`, of each of which the first `kept` tokens are in use, with `tokens[N, L, C]` behind
/// these: the keys of a language model's cache. A store that is given away and has room becomes the result;
/// one that has none, or is empty, gives way to one of twice its length, of `most` at most, so that what is
/// copied stays in proportion to what is stored. What lies behind the tokens in use is not defined. Throws
/// ArgumentError where the shapes do not fit, and for more than `most` tokens.
template <class T>
Tensor<T> append_tokens(const Context& context, Tensor<T> store, Index kept, const TokenView<T>& tokens,
                        Index most);

/// `x[..., C]`, its rows counted from the first, with the rows `places` replaced by `rows[places.size(), C]`:
/// what a picture is between the words. An x that is given away becomes the result. Throws ArgumentError for
/// places outside of x and rows of another shape.
Tensor<float> put_rows(const Context& context, Tensor<float> x, std::span<const std::int32_t> places,
                       const Tensor<float>& rows);

}  // namespace daguerre::ops
