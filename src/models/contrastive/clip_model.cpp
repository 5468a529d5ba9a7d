#include "daguerre/models/contrastive/clip_model-inl.hpp"

namespace daguerre::models {

template class ClipModel<float>;
template class ClipModel<bfloat16>;

}  // namespace daguerre::models
