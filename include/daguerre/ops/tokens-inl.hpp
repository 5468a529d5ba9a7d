#pragma once

#include <algorithm>
#include <string>

#include "daguerre/ops/profile.hpp"
#include "daguerre/ops/tokens.hpp"

namespace daguerre::ops {
namespace detail {

/// The fewest tokens that a store has room for.
inline constexpr Index smallest_token_store = 64;

template <class T>
void check_append(const Tensor<T>& store, Index kept, const TokenView<T>& tokens, Index most) {
  constexpr const char* who = "append_tokens";
  const Index room = store.empty() ? 0 : store.dim(1);
  const bool fits =
      store.empty() || (store.rank() == 3 && store.dim(0) == tokens.batch && store.dim(2) == tokens.width);
  if (!fits || kept < 0 || kept > room)
    throw ArgumentError(who, to_string(Shape{tokens.batch, tokens.length, tokens.width}) + " behind " +
                                 std::to_string(kept) + " tokens of " + to_string(store.shape()));
  if (tokens.length > most - kept)
    throw ArgumentError(who, std::to_string(kept) + " and " + std::to_string(tokens.length) +
                                 " tokens, there may be " + std::to_string(most));
}

}  // namespace detail

namespace host {

template <class T>
Tensor<T> append_tokens(const Context& context, Tensor<T> store, Index kept, const TokenView<T>& tokens,
                        Index most) {
  const Index batch = tokens.batch, width = tokens.width, needed = kept + tokens.length;
  if (store.empty() || store.dim(1) < needed) {
    const Index before = store.empty() ? 0 : store.dim(1);
    const Index room = std::min(most, std::max({needed, 2 * before, detail::smallest_token_store}));
    auto larger = context.empty<T>({batch, room, width});
    T* const to = larger.data();
    const T* const from = std::as_const(store).data();
    for (Index n = 0; n < batch && kept > 0; ++n)
      std::copy_n(from + n * before * width, kept * width, to + n * room * width);
    store = std::move(larger);
  }
  const Index room = store.dim(1);
  T* const to = store.data();
  const Index grain = std::max<Index>(1, 16384 / std::max<Index>(width, 1));
  parallel_for(context.threads, batch * tokens.length, grain, [&](Index begin, Index end) {
    for (Index i = begin; i < end; ++i) {
      const Index n = i / tokens.length, token = i % tokens.length;
      std::copy_n(tokens.at(n, token), width, to + (n * room + kept + token) * width);
    }
  });
  return store;
}

}  // namespace host

template <class T>
Tensor<T> append_tokens(const Context& context, Tensor<T> store, Index kept, const TokenView<T>& tokens,
                        Index most) {
  const Profile::Scope scope(context, OpKind::concatenate);
  detail::check_append(store, kept, tokens, most);
  if (const auto* engine = engine_for<T>(context))
    return engine->append_tokens(context, std::move(store), kept, tokens, most);
  return host::append_tokens(context, std::move(store), kept, tokens, most);
}

extern template Tensor<float> append_tokens(const Context&, Tensor<float>, Index, const TokenView<float>&,
                                            Index);
extern template Tensor<bfloat16> append_tokens(const Context&, Tensor<bfloat16>, Index,
                                               const TokenView<bfloat16>&, Index);

}  // namespace daguerre::ops
