#include "daguerre/models/feature_extractors/inception_v3-inl.hpp"

namespace daguerre::models {
namespace detail {
namespace {

using Pool = InceptionBranch::Pool;

InceptionConv square(const char* name, Index out, Index side) {
  return {name, out, side, side};
}
InceptionConv row(const char* name, Index out, Index width) {
  return {name, out, 1, width};
}
InceptionConv column(const char* name, Index out, Index height) {
  return {name, out, height, 1};
}
InceptionConv halving(const char* name, Index out) {
  return {name, out, 3, 3, 2, true};
}

// torchvision's InceptionA to InceptionE.

InceptionBlockShape inception_a(const char* name, Index pooled) {
  return {name,
          {{.chain = {square("branch1x1", 64, 1)}},
           {.chain = {square("branch5x5_1", 48, 1), square("branch5x5_2", 64, 5)}},
           {.chain = {square("branch3x3dbl_1", 64, 1), square("branch3x3dbl_2", 96, 3),
                      square("branch3x3dbl_3", 96, 3)}},
           {.pool = Pool::average, .chain = {square("branch_pool", pooled, 1)}}}};
}

InceptionBlockShape inception_b(const char* name) {
  return {name,
          {{.chain = {halving("branch3x3", 384)}},
           {.chain = {square("branch3x3dbl_1", 64, 1), square("branch3x3dbl_2", 96, 3),
                      halving("branch3x3dbl_3", 96)}},
           {.pool = Pool::halving_max}}};
}

InceptionBlockShape inception_c(const char* name, Index inner) {
  return {name,
          {{.chain = {square("branch1x1", 192, 1)}},
           {.chain = {square("branch7x7_1", inner, 1), row("branch7x7_2", inner, 7),
                      column("branch7x7_3", 192, 7)}},
           {.chain = {square("branch7x7dbl_1", inner, 1), column("branch7x7dbl_2", inner, 7),
                      row("branch7x7dbl_3", inner, 7), column("branch7x7dbl_4", inner, 7),
                      row("branch7x7dbl_5", 192, 7)}},
           {.pool = Pool::average, .chain = {square("branch_pool", 192, 1)}}}};
}

InceptionBlockShape inception_d(const char* name) {
  return {name,
          {{.chain = {square("branch3x3_1", 192, 1), halving("branch3x3_2", 320)}},
           {.chain = {square("branch7x7x3_1", 192, 1), row("branch7x7x3_2", 192, 7),
                      column("branch7x7x3_3", 192, 7), halving("branch7x7x3_4", 192)}},
           {.pool = Pool::halving_max}}};
}

InceptionBlockShape inception_e(const char* name, Pool pool) {
  return {name,
          {{.chain = {square("branch1x1", 320, 1)}},
           {.chain = {square("branch3x3_1", 384, 1)},
            .fork = {row("branch3x3_2a", 384, 3), column("branch3x3_2b", 384, 3)}},
           {.chain = {square("branch3x3dbl_1", 448, 1), square("branch3x3dbl_2", 384, 3)},
            .fork = {row("branch3x3dbl_3a", 384, 3), column("branch3x3dbl_3b", 384, 3)}},
           {.pool = pool, .chain = {square("branch_pool", 192, 1)}}}};
}

}  // namespace

ops::ConvGeometry InceptionConv::geometry() const noexcept {
  if (valid) return ops::ConvGeometry::same(0, stride);
  const int rows = static_cast<int>(height / 2), columns = static_cast<int>(width / 2);
  return {stride, rows, columns, rows, columns};
}

std::vector<InceptionConv> inception_stem() {
  constexpr bool valid = true, pooled = true;
  return {halving("Conv2d_1a_3x3", 32),
          {"Conv2d_2a_3x3", 32, 3, 3, 1, valid},
          {"Conv2d_2b_3x3", 64, 3, 3, 1, !valid, pooled},
          square("Conv2d_3b_1x1", 80, 1),
          {"Conv2d_4a_3x3", 192, 3, 3, 1, valid, pooled}};
}

std::vector<InceptionBlockShape> inception_blocks() {
  return {inception_a("Mixed_5b", 32),       inception_a("Mixed_5c", 64),
          inception_a("Mixed_5d", 64),       inception_b("Mixed_6a"),
          inception_c("Mixed_6b", 128),      inception_c("Mixed_6c", 160),
          inception_c("Mixed_6d", 160),      inception_c(inception_before_aux, 192),
          inception_d("Mixed_7a"),           inception_e("Mixed_7b", Pool::average),
          inception_e("Mixed_7c", Pool::max)};
}

}  // namespace detail

template class InceptionV3<float>;
template class InceptionV3<bfloat16>;

}  // namespace daguerre::models
