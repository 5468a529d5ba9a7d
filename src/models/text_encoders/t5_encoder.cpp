#include "daguerre/models/text_encoders/t5_encoder-inl.hpp"

namespace daguerre::models {

template class T5Encoder<float>;
template class T5Encoder<bfloat16>;

}  // namespace daguerre::models
