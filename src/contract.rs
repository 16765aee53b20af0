//! stub
pub mod validate { use crate::model::{access::*, catalog::*, failure::*};
 /// x
 pub fn validate(_c:&Contract,_k:&Catalog)->Result<(),Failure>{Ok(())}
 /// x
 pub fn uncovered(_c:&Contract,_k:&Catalog)->Vec<TableName>{vec![]} }
pub mod reference { use crate::model::{access::*, catalog::*};
 /// x
 pub fn standing(_c:&Contract,_k:&Catalog,_t:&TableAccess,_r:&str,_u:&str)->String{String::new()} }
